package stream

import (
	"slices"
	"strings"

	"handoff/shared/event"
)

// The streams. A work stream is a window over what is unfinished in one domain. RECORDS is the second copy of what the api knows of
// users; the others are copies for people.
const (
	Users   = "USERS"
	Images  = "IMAGES"
	Tasks   = "TASKS"
	Calls   = "CALLS"
	Dead    = "DEAD"
	Records = "RECORDS"
	History = "HISTORY"
)

// Pictures is the object store of result pictures, keyed by job id.
const Pictures = "PICTURES"

// OpenKey is the key that says a service's bucket has not lost data: no claim is made in a bucket without it.
const OpenKey = "_open"

// HeaderGeneration carries the generation of a message that asks for a task again; absent means 0.
const HeaderGeneration = "Handoff-Generation"

// Headers of a dead letter.
const (
	HeaderAttempts = "Handoff-Attempts"
	HeaderError    = "Handoff-Error"
)

// RecordUsers is the subject of user facts.
const RecordUsers = "record.users"

// Headers of a message of facts.
const (
	// HeaderLastKey is the highest log key of the users in the message.
	HeaderLastKey = "Handoff-Last-Key"
	// HeaderReplaces is the sequence up to which everything is superseded once the copy that the message belongs to is whole.
	HeaderReplaces = "Handoff-Replaces"
)

// A Route is one subject on which events of a type are published, and whom an event on it asks for when it names nobody.
type Route struct {
	Type     event.Type
	Subject  string // the type, with at most one suffix that routes
	Services []string
}

// A Task is what a service does for one type of event.
type Task struct {
	Service string
	Type    event.Type
	Name    string
}

type domain struct {
	name   string
	prefix string // first token of its subjects
	share  int    // percent of Config.MaxStore
}

// domains are the work streams.
func domains() []domain {
	return []domain{{Users, "user", 10}, {Images, "image", 5}, {Tasks, "task", 5}, {Calls, "job", 3}}
}

// Routes is the table: from the least asked for to the most, for each type.
func Routes() []Route {
	return []Route{
		{event.UserCreated, "user.created", []string{"mailer"}},
		{event.UserCreated, "user.created.notify", []string{"mailer", "notifier"}},
		{event.ImageRequested, "image.requested", []string{"imager"}},
		{event.TaskRequested, "task.requested", []string{"tasker"}},
		{event.JobFinished, "job.finished", []string{"notifier"}},
	}
}

// AllTasks lists every task of every service. A new one goes to the end: the first of a service in a stream has the consumer that is
// named as the service.
func AllTasks() []Task {
	return []Task{
		{"mailer", event.UserCreated, "welcome-email"},
		{"notifier", event.UserCreated, "welcome-notice"},
		{"imager", event.ImageRequested, "process-image"},
		{"tasker", event.TaskRequested, "demo-task"},
		{"notifier", event.JobFinished, "callback"},
	}
}

// TaskName names what a service does for a type of event; empty when it does nothing for it.
func TaskName(service string, t event.Type) string {
	for _, task := range AllTasks() {
		if task.Service == service && task.Type == t {
			return task.Name
		}
	}
	return ""
}

// Services lists the services, each once.
func Services() []string {
	var names []string
	for _, t := range AllTasks() {
		if !slices.Contains(names, t.Service) {
			names = append(names, t.Service)
		}
	}
	return names
}

// WorkStreams lists the names of the work streams.
func WorkStreams() []string {
	var names []string
	for _, d := range domains() {
		names = append(names, d.name)
	}
	return names
}

// ForType names the work stream in which events of type t wait; empty for a type that has none.
func ForType(t event.Type) string {
	prefix, _, _ := strings.Cut(string(t), ".")
	for _, d := range domains() {
		if d.prefix == prefix {
			return d.name
		}
	}
	return ""
}

// Subject is where an event of type t that asks for the given services is published: the narrowest route that
// reaches all of them, or the type itself when none does.
func Subject(t event.Type, services []string) string {
	for _, r := range Routes() {
		if r.Type == t && containsAll(r.Services, services) {
			return r.Subject
		}
	}
	return string(t)
}

// AskedBy lists the services that a message on subject asks for when its event names nobody: the route's, or the one
// service of a retry subject. Nil for a subject that is on no route.
func AskedBy(subject string) []string {
	if rest, ok := strings.CutPrefix(subject, "retry."); ok {
		service, _, _ := strings.Cut(rest, ".")
		return []string{service}
	}
	for _, r := range Routes() {
		if r.Subject == subject {
			return slices.Clone(r.Services)
		}
	}
	return nil
}

// RetrySubject is where one service is asked again for its task of an event.
func RetrySubject(service string, t event.Type) string { return "retry." + service + "." + string(t) }

// laterPrefix is in front of the type on the subject of what is not yet due.
const laterPrefix = "later."

// LaterSubject is where an event waits until it is due. No consumer reads that: the api publishes it on its own subject then.
func LaterSubject(t event.Type) string { return laterPrefix + string(t) }

// IsLater reports whether a subject is one on which events wait until they are due.
func IsLater(subject string) bool { return strings.HasPrefix(subject, laterPrefix) }

// CancelSubject is where a service hears at once that a task of its has been cancelled, as an [event.Cancel]. No stream keeps that:
// the record says so, too.
func CancelSubject(service string) string { return "cancel." + service }

// DeadSubject is where the copy of a dead task's event goes; service is "api" for what could not be decoded, and rest is
// then the subject that it came on.
func DeadSubject(service, rest string) string { return "dead." + service + "." + rest }

// Bucket names the bucket of a service's task records.
func Bucket(service string) string { return "JOBS_" + service }

// BucketStream names the stream under a bucket.
func BucketStream(bucket string) string { return "KV_" + bucket }

// ObjectStream names the stream under an object store.
func ObjectStream(store string) string { return "OBJ_" + store }

// RecordSubject is the subject of a job's record in the bucket of a service.
func RecordSubject(service, job string) string { return "$KV." + Bucket(service) + "." + job }

// Durable is the consumer of one task: the tasks of a service that wait in one stream don't stand behind one another. It is named as
// the service where that has one task in the stream, and so is that of the first one when there are more.
type Durable struct {
	Name    string
	Service string
	Stream  string
	Type    event.Type
	Filters []string // exactly what the service can be asked for
}

// Durables lists the consumers of every task.
func Durables() []Durable { return durables(Routes(), AllTasks()) }

func durables(routes []Route, tasks []Task) []Durable {
	var all []Durable
	named := map[string]bool{}
	for _, t := range tasks {
		d := Durable{Name: t.Service, Service: t.Service, Stream: ForType(t.Type), Type: t.Type, Filters: filters(routes, t)}
		if len(d.Filters) == 0 {
			continue
		}
		if named[d.Stream+" "+d.Name] {
			d.Name += "-" + t.Name
		}
		named[d.Stream+" "+d.Name] = true
		all = append(all, d)
	}
	return all
}

// DurableOf gives the consumer of what a service does for a type of event; false when it is asked for nothing by it.
func DurableOf(service string, t event.Type) (Durable, bool) {
	for _, d := range Durables() {
		if d.Service == service && d.Type == t {
			return d, true
		}
	}
	return Durable{}, false
}

func filters(routes []Route, t Task) []string {
	var f []string
	for _, r := range routes {
		if r.Type == t.Type && slices.Contains(r.Services, t.Service) {
			f = append(f, r.Subject)
		}
	}
	if len(f) > 0 {
		f = append(f, RetrySubject(t.Service, t.Type))
	}
	return f
}

func containsAll(set, subset []string) bool {
	for _, s := range subset {
		if !slices.Contains(set, s) {
			return false
		}
	}
	return true
}
