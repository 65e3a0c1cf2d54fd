// Package backlog keeps in memory, in a few words for each task, what is unfinished: tasks that have not ended, and tasks that have
// but whose message is still in a stream. Reconcile, sweep and trim decide by it; the store would be too slow to ask every second.
package backlog
