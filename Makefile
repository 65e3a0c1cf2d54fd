.PHONY: run test race lint tidy compare load e2e chaos ci

run:
	go run ./cmd/handoff
test:
	go test work
race:
	go test -race work
lint:
	for m in $$(go list -m -f '{{.Dir}}'); do (cd $$m && golangci-lint run ./...) || exit 1; done
tidy:
	for m in $$(go list -m -f '{{.Dir}}'); do (cd $$m && GOWORK=off go mod tidy) || exit 1; done
compare:
	go run ./bench/compare
load:
	go run ./bench/accept
e2e:
	go test -count=1 ./e2e/...
chaos:
	go test -count=1 -v -timeout 0 -run TestChaos ./e2e/chaos -seed $(or $(SEED),1) -rounds $(or $(ROUNDS),200) -faults $(or $(FAULTS),usual) -report $(CURDIR)/$(or $(REPORT),chaos.md)
ci:
	.ci/run
