// Package chaos holds the chaos suite: the six processes of Handoff, and two mailers in some rounds, under load, while things go wrong at
// moments drawn from a seed. In each round one to three faults are injected. Then everything is started and settles, and what was
// answered is compared with what the far side saw: mails at a mail server, notices at a webhook, pictures at the API, tasks in the log.
// Where it may mount, each store gets a disk of its own when disks are to be filled; else these faults are left out.
//
// Start at chaos_test.go. A fault is a row of the tables in faults_test.go (what is survived whatever the store), stores_test.go (what
// takes data away), twice_test.go (one store after the other) and room_test.go (full disks); plan_test.go draws them,
// load_test.go asks and writes down, settle_test.go waits and collects, and package ledger judges.
//
//	go test ./chaos                                        each of the usual faults once, in under two minutes
//	go test ./chaos -v -seed 7 -rounds 20                  others, and more of them
//	go test ./chaos -v -seed 7 -rounds 20 -first 13        the same, from round 13 on
//	go test ./chaos -v -faults kill-mailer,fill-bucket     these alone; all is every one, usual the default
//	go test ./chaos -v -faults all,-fill-bucket            every other one
//	go test ./chaos -v -report table.md -rounds 200        the table for docs/delivery.md; make chaos does this
//
// A failure leaves a report of the site and each process's log, with a stack of every goroutine: with -artifacts -outputdir DIR in a folder.
//
// A seed gives the same faults in the same rounds at the same moments. What the processes make of them is theirs, so that a rare finding
// may need its round more than once.
package chaos
