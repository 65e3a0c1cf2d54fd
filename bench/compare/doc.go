// Command compare shows what Handoff is for: it sends requests one after the other to /sync-task/, where each waits for its work, and
// then as many at once to /async-task/, and says how long both took. The second is timed twice: until every request was accepted, and
// until every job was done. It starts Handoff itself when none runs.
//
// Start at [run] in main.go; measure.go sends, report.go prints.
package main
