package model

import (
	"fmt"
	"strings"
	"testing"
)

var (
	every = []Fault{WorkerCrash, APICrash, PowerLoss, TailLost, StreamLost, BucketLost, DBLost, NATSAway}
	// What is lost for good, and NATS away; and what only stops for a while.
	stores  = []Fault{TailLost, StreamLost, BucketLost, DBLost, NATSAway}
	crashes = []Fault{WorkerCrash, APICrash, NATSAway}
)

func just(f ...Fault) []Fault { return f }

// runs are the bounds that the protocol is looked at in. The names are used by the table of broken rules, too.
var runs = map[string]struct {
	long bool
	Bounds
}{
	"no fault, two workers":       {false, Bounds{Asked: 1, Workers: 2, Fails: 1, Deads: 1, Redrives: 1, Stragglers: 1, Stops: 1}},
	"no fault, cancel":            {false, Bounds{Asked: 1, Workers: 1, Cancels: 1, Redrives: 1}},
	"no fault, both":              {false, Bounds{Asked: 2, Workers: 1, Stragglers: 1}},
	"no fault, both, cancel":      {false, Bounds{Asked: 2, Workers: 1, Cancels: 1, Redrives: 1}},
	"worker crash, no sweep":      {false, Bounds{Asked: 1, Workers: 2, First: just(WorkerCrash), Then: just(WorkerCrash), NoSweep: true}},
	"stream lost":                 {false, Bounds{Asked: 1, Workers: 1, First: just(StreamLost)}},
	"bucket lost":                 {false, Bounds{Asked: 1, Workers: 2, First: just(BucketLost), Stragglers: 1, Fails: 1}},
	"bucket lost, cancel":         {false, Bounds{Asked: 1, Workers: 1, First: just(BucketLost), Cancels: 1, Redrives: 1}},
	"power loss":                  {false, Bounds{Asked: 1, Workers: 1, First: just(PowerLoss), Stragglers: 1}},
	"tail lost":                   {true, Bounds{Asked: 2, Workers: 1, First: just(TailLost), Stragglers: 1}},
	"db lost":                     {false, Bounds{Asked: 2, Workers: 1, First: just(DBLost), Stragglers: 1}},
	"api crash, both, redrive":    {false, Bounds{Asked: 2, Workers: 1, First: just(APICrash), Deads: 1, Redrives: 1}},
	"api crash, bucket lost":      {false, Bounds{Asked: 1, Workers: 1, First: just(APICrash), Then: just(BucketLost), Stragglers: 1}},
	"bucket lost, power loss":     {false, Bounds{Asked: 1, Workers: 1, First: just(BucketLost), Then: just(PowerLoss)}},
	"power loss, db lost":         {false, Bounds{Asked: 1, Workers: 1, First: just(PowerLoss), Then: just(DBLost), Deads: 1, Redrives: 1}},
	"power loss twice":            {true, Bounds{Asked: 1, Workers: 1, First: just(PowerLoss), Then: just(PowerLoss), Deads: 1, Redrives: 1}},
	"power loss, api crash, both": {true, Bounds{Asked: 2, Workers: 1, First: just(PowerLoss), Then: just(APICrash)}},
	"power loss, both, redrive":   {true, Bounds{Asked: 2, Workers: 1, First: just(PowerLoss), Deads: 1, Redrives: 1}},
	"any one, two workers":        {true, Bounds{Asked: 1, Workers: 2, First: every, Stragglers: 1, Fails: 1, Stops: 1}},
	"any two, two workers":        {true, Bounds{Asked: 1, Workers: 2, First: every, Then: every}},
	"any two, stragglers":         {true, Bounds{Asked: 1, Workers: 1, First: every, Then: every, Stragglers: 1}},
	"any two, a failure":          {true, Bounds{Asked: 1, Workers: 1, First: every, Then: every, Fails: 1}},
	"any two, service stopped":    {true, Bounds{Asked: 1, Workers: 1, First: every, Then: every, Stops: 1}},
	"any two, cancel":             {true, Bounds{Asked: 1, Workers: 1, First: every, Then: every, Cancels: 1}},
	"any two, redrive":            {true, Bounds{Asked: 1, Workers: 1, First: every, Then: every, Deads: 1, Redrives: 1}},
	"any and a store, cancel":     {true, Bounds{Asked: 1, Workers: 1, First: every, Then: stores, Cancels: 1, Redrives: 1}},
	"two stores, both":            {true, Bounds{Asked: 2, Workers: 1, First: stores, Then: stores}},
	"crash and a store, both":     {true, Bounds{Asked: 2, Workers: 1, First: crashes, Then: stores}},
}

func TestProtocolHolds(t *testing.T) {
	t.Parallel()
	for name, run := range runs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if run.long && (underRace || testing.Short()) {
				t.Skip("a long run")
			}
			r := Run(run.Bounds, Broken{})
			if r.Broke != Holds || !r.Complete {
				t.Errorf("%v after %v, %d states, complete: %v\n%s", r.Broke, r.Faults, r.States, r.Complete, strings.Join(r.Trace, "\n"))
			}
			t.Logf("%d states", r.States)
		})
	}
}

func TestEachRuleIsNeeded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		run   string
		rules Broken
		want  Property
	}{
		{"no fault, two workers", Broken{ClaimWithoutCompare: true}, Twice},
		{"worker crash, no sweep", Broken{AckBeforeRecord: true}, NotEnded},
		{"bucket lost", Broken{NoPutBack: true}, Twice},
		{"bucket lost", Broken{OpenNotAwaited: true}, Twice},
		{"bucket lost", Broken{WaitingClaimHolds: true}, Twice},
		{"no fault, two workers", Broken{RelayEnded: true}, Rises},
		{"tail lost", Broken{RelayEarly: true, PubAckProvesNothing: true}, NotEnded}, // either alone finds what is lost
		{"no fault, two workers", Broken{PurgeAboveLowest: true}, NotEnded},
		{"no fault, both", Broken{PurgeRecordOfMessage: true}, Rises},
		{"power loss", Broken{PurgeRecordSoon: true}, Rises},
		{"power loss, api crash, both", Broken{PurgeRecordUnrelayed: true}, Rises},
		{"power loss, both, redrive", Broken{EndHoldsNothing: true}, Rises},
		{"bucket lost, power loss", Broken{JobLeavesSoon: true}, Rises},
		{"bucket lost, power loss", Broken{WriteBackNoPurged: true}, Rises},
		{"api crash, bucket lost", Broken{WriteBackUnread: true}, Rises},
		{"bucket lost", Broken{OpenBeforeRecords: true}, Twice},
		{"bucket lost, cancel", Broken{CreateOnly: true}, Rises},
		{"power loss twice", Broken{OverwriteRunning: true}, Twice},
		{"api crash, both, redrive", Broken{MessageGoesBack: true}, Rises},
		{"power loss, db lost", Broken{ForgetFirst: true, OlderCounts: true}, NotEnded}, // either alone finds what is lost
		{"stream lost", Broken{LostMessagesKept: true}, NotEnded},
		{"db lost", Broken{AcceptBeforeRead: true}, Twice},
		{"db lost", Broken{RebuiltUnended: true}, Rises},
		{"no fault, two workers", Broken{ReissueUnrelayed: true}, Endless},
		{"no fault, two workers", Broken{ReissueWaiting: true}, Endless},
		{"no fault, cancel", Broken{LaterEndWins: true}, Back},
		{"no fault, cancel", Broken{EndIsNotFinal: true}, Back},
		{"no fault, cancel", Broken{RedriveAtSameGeneration: true}, Rises},
	} {
		name := fmt.Sprintf("%+v", c.rules)
		name, _, _ = strings.Cut(name, ":true")
		t.Run(name[strings.LastIndexAny(name, " {")+1:], func(t *testing.T) {
			t.Parallel()
			if runs[c.run].long && (underRace || testing.Short()) {
				t.Skip("a long run")
			}
			r := Run(runs[c.run].Bounds, c.rules)
			trace := strings.Join(r.Trace, "\n")
			if r.Broke != c.want {
				t.Errorf("%v after %v, want %v; %d states, complete: %v\n%s", r.Broke, r.Faults, c.want, r.States, r.Complete, trace)
			}
			t.Logf("%q: %v after %v, %d steps\n%s", c.run, r.Broke, r.Faults, len(r.Trace), trace)
		})
	}
}
