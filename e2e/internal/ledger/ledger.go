package ledger

import (
	"slices"
	"time"
)

// A Job is one that was accepted, or that is listed.
type Job struct {
	ID       string
	Round    int  // in which it was asked for
	Answered bool // with a 2xx; else the job is there, but its answer never came
	Listed   bool
	State    string   // as last listed
	Services []string // that it asks for
}

// An Effect is something done for a job, as the far side saw it.
type Effect struct {
	Job     string
	Service string
	At      time.Time
}

// A Fault is one that was injected.
type Fault struct {
	Name  string
	Round int
	From  time.Time // when it began, or the earliest effect that it can have made forgotten
	To    time.Time // when it was over

	// Window is the name of the window that it opens, for Services alone. Empty: whatever is done twice is done wrongly.
	Window   string
	Services []string
	// Forgets is set where the history of ended jobs may be gone afterwards.
	Forgets bool
}

// Facts are what is known of a site.
type Facts struct {
	Jobs    []Job
	Effects []Effect
	Faults  []Fault
	Unknown map[int]int // by round: requests without an answer, each of which may have made a job
}

// A Kind says what is wrong.
type Kind string

// The kinds.
const (
	Lost     Kind = "never ended"        // accepted, and not ended
	Dead     Kind = "ended badly"        // nothing that the suite asks for fails for good
	Undone   Kind = "effect missing"     // the job has succeeded without it
	Twice    Kind = "effect done twice"  // or more often: once for each time too many
	Unasked  Kind = "effect unasked for" // of a job that is not there, or of a service that it does not ask for
	Surplus  Kind = "job unasked for"    // more jobs than requests
	Forgiven Kind = "forgotten after its end"
)

// A Finding is one thing that is not as it would be without faults.
type Finding struct {
	Kind    Kind
	Job     string
	Service string
	Round   int
	Detail  string

	// Fault and Window name what allows it. Both are empty when nothing does.
	Fault  string
	Window string
}

// Allowed reports whether it is in docs/delivery.md.
func (f Finding) Allowed() bool { return f.Window != "" }

// slack is how much later than it was done an effect may be seen by the far side, whose reader is as busy as everything else.
const slack = time.Second

// Judge compares.
func Judge(f Facts) []Finding {
	var found []Finding
	done := map[string][]time.Time{} // by job and service
	for _, e := range f.Effects {
		done[e.Job+" "+e.Service] = append(done[e.Job+" "+e.Service], e.At)
	}
	known, surplus := map[string]bool{}, map[int]int{}
	for _, j := range f.Jobs {
		known[j.ID] = true
		if !j.Answered {
			surplus[j.Round]++
		}
		found = append(found, f.end(j, done)...)
		for _, service := range j.Services {
			key := j.ID + " " + service
			found = append(found, f.repeats(j, service, done[key])...)
			delete(done, key)
		}
	}
	for _, e := range f.Effects {
		if key := e.Job + " " + e.Service; done[key] != nil {
			found = append(found, Finding{Kind: Unasked, Job: e.Job, Service: e.Service, Detail: e.At.String()})
			delete(done, key)
		}
	}
	for round, n := range surplus {
		for range max(0, n-f.Unknown[round]) {
			found = append(found, Finding{Kind: Surplus, Round: round})
		}
	}
	return found
}

// end looks at how one job ended.
func (f Facts) end(j Job, done map[string][]time.Time) []Finding {
	var missing []string
	for _, service := range j.Services {
		if len(done[j.ID+" "+service]) == 0 {
			missing = append(missing, service)
		}
	}
	finding := Finding{Job: j.ID, Round: j.Round, Detail: "its state is " + j.State}
	switch {
	case !j.Listed:
		finding.Kind, finding.Detail = Lost, "it is not listed"
		if i := f.forgetting(j); i >= 0 && len(missing) == 0 {
			finding.Kind, finding.Fault, finding.Window = Forgiven, f.Faults[i].Name, "history of ended jobs"
		}
	case j.State == "dead", j.State == "cancelled":
		finding.Kind = Dead
	case j.State != "succeeded":
		finding.Kind = Lost
	default:
		var all []Finding
		for _, service := range missing {
			all = append(all, Finding{Kind: Undone, Job: j.ID, Service: service, Round: j.Round})
		}
		return all
	}
	return []Finding{finding}
}

// forgetting gives a fault that may have made the api forget an ended job, or -1.
func (f Facts) forgetting(j Job) int {
	return slices.IndexFunc(f.Faults, func(x Fault) bool { return x.Forgets && x.Round >= j.Round })
}

// repeats gives a finding for each time that an effect was done after the first.
func (f Facts) repeats(j Job, service string, at []time.Time) []Finding {
	slices.SortFunc(at, time.Time.Compare)
	var all []Finding
	for i := 1; i < len(at); i++ {
		finding := Finding{
			Kind: Twice, Job: j.ID, Service: service, Round: j.Round,
			Detail: at[i-1].Format(time.TimeOnly+".000") + " and " + at[i].Format(time.TimeOnly+".000"),
		}
		if x := f.cause(j, service, at[i-1], at[i]); x >= 0 {
			finding.Fault, finding.Window = f.Faults[x].Name, f.Faults[x].Window
		}
		all = append(all, finding)
	}
	return all
}

// cause gives the fault whose window explains that an effect was done at both times, or -1. Every round waits for all of its jobs,
// so that no fault of a later one explains anything.
func (f Facts) cause(j Job, service string, first, second time.Time) int {
	return slices.IndexFunc(f.Faults, func(x Fault) bool {
		return x.Window != "" && x.Round == j.Round && slices.Contains(x.Services, service) &&
			!first.After(x.To.Add(slack)) && !second.Before(x.From)
	})
}
