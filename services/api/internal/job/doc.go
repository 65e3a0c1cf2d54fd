// Package job is the api's idea of its work: a [Job] is one accepted event, its [Task]s are what services do for it.
//
// Nothing here reads or writes anything. [Fold] decides what a record that was read means for what is known; the
// projection calls it, the store keeps the outcome, the web shows it.
package job
