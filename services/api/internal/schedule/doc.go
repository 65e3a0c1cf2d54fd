// Package schedule begins with jobs that were to wait, when they are due. Such a job is in the log and, as a message that nobody reads,
// in its stream; at its time one entry asks for it. Which is due next is kept in memory, made of the unfinished jobs at the start: an
// index in the store would be written in the order of due times, which slows every accept.
//
// [Queue] says what is due, [Schedule] is the loop around it.
package schedule
