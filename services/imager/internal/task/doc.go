// Package task is the imager's task from one end to the other: fetch a picture, process it, store the result. It declares
// what it needs of the outside; what it does to a picture is package picture's.
package task
