// Command day presses a day of a steady load into minutes: streams of a few MB, jobs that are kept for seconds, a service that is stopped
// for a while. It prints how full every store is over time, and fails if what keeps a level has none, or if anything that was accepted
// has not been done.
//
// Start at [run] in main.go; house.go starts the services, load.go sends, levels.go looks and judges.
package main
