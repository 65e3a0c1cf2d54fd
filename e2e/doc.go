// Package e2e holds the end-to-end tests: they build the real programs, run them as processes on the loopback, each site with ports
// and a data directory of its own, talk to them as anybody would, kill them, and start them again. Nothing of a service is imported.
//
// Start at requests_test.go, which asks for everything the API has (table_test.go), once of cmd/handoff and once of five
// processes and a NATS server. Package house builds, starts and kills. Folder chaos holds the chaos suite, which does that at random.
//
//	go test ./...                    everything, in about a minute and a half on two cores
//	go test -short ./...             without what takes long
//	E2E_RACE=1 go test ./...         the programs are built with the race detector, and a report of it fails the test
//	E2E_ROUNDS=20 E2E_SEED=7 go test -run Killed ./...   more rounds of killing, by another seed
//
// What is missing on a machine, such as the nats CLI, skips the test that needs it; with CI=true it fails it.
package e2e
