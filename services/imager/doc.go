// Package imager is the service that fetches a picture, processes it and keeps the result. [Run] is its table of contents:
// package task does the work of one event, with picture for what is done to a picture, fetch for getting it and objectstore
// for keeping the result.
package imager
