// Package tasker is the smallest service there is, and the one to copy for a task of your own: task.go is the work, tasker.go
// says how it is run.
//
// The work is the demo's: it takes as long as the event says and reports how far it is.
package tasker
