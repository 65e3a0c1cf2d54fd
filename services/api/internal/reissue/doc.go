// Package reissue is the one way to make work happen again that was lost, or whose end was: an entry for the relay that asks one
// service for its task of a job once more. It is safe to do so at any time, since the task's record says how far it has come.
package reissue
