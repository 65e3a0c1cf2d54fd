// Package ledger compares what was accepted with what came of it: jobs that never ended, effects that are missing, effects that were
// done twice and whether one of the windows that docs/delivery.md names can have been the cause. It is told facts and looks at
// nothing itself, so that a made-up loss shows that a real one would be found.
//
// Start at [Judge].
package ledger
