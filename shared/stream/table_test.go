package stream_test

import (
	"slices"
	"strings"
	"testing"

	"handoff/shared/event"
	"handoff/shared/stream"
)

// matches is the rule of NATS: * is one token, > at the end is one or more.
func matches(filter, subject string) bool {
	f, s := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range f {
		switch {
		case token == ">" && i == len(f)-1:
			return len(s) > i
		case i >= len(s), token != "*" && token != s[i]:
			return false
		}
	}
	return len(f) == len(s)
}

// delivered lists the services that a message on subject is delivered to, once for each filter that lets it through.
func delivered(subject string) []string {
	var services []string
	for _, d := range stream.Durables() {
		for _, f := range d.Filters {
			if matches(f, subject) {
				services = append(services, d.Service)
			}
		}
	}
	slices.Sort(services)
	return services
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

func types() []event.Type {
	return []event.Type{event.UserCreated, event.ImageRequested, event.TaskRequested, event.JobFinished}
}

func TestEveryRouteReachesExactlyWhomItAsks(t *testing.T) {
	t.Parallel()
	for _, r := range stream.Routes() {
		if got, want := delivered(r.Subject), sorted(r.Services); !slices.Equal(got, want) {
			t.Errorf("%s is delivered to %v, it asks %v", r.Subject, got, want)
		}
		if got := stream.AskedBy(r.Subject); !slices.Equal(got, r.Services) {
			t.Errorf("AskedBy(%s) is %v, want %v", r.Subject, got, r.Services)
		}
		if r.Subject != string(r.Type) && !strings.HasPrefix(r.Subject, string(r.Type)+".") {
			t.Errorf("%s is not below its type %s", r.Subject, r.Type)
		}
		if got := delivered("later." + r.Subject); got != nil {
			t.Errorf("later.%s is delivered to %v before it is due", r.Subject, got)
		}
		for _, s := range r.Services {
			if stream.TaskName(s, r.Type) == "" {
				t.Errorf("%s is asked on %s and has no task for it", s, r.Subject)
			}
		}
	}
}

func TestRetryReachesOneService(t *testing.T) {
	t.Parallel()
	for _, task := range stream.AllTasks() {
		subject := stream.RetrySubject(task.Service, task.Type)
		if got := delivered(subject); !slices.Equal(got, []string{task.Service}) {
			t.Errorf("%s is delivered to %v", subject, got)
		}
		if got := stream.AskedBy(subject); !slices.Equal(got, []string{task.Service}) {
			t.Errorf("AskedBy(%s) is %v", subject, got)
		}
	}
}

func TestEveryTypeHasAStreamATaskAndAPlainRoute(t *testing.T) {
	t.Parallel()
	want := map[event.Type]string{
		event.UserCreated: stream.Users, event.ImageRequested: stream.Images, event.TaskRequested: stream.Tasks, event.JobFinished: stream.Calls,
		"": "", "user": stream.Users, "users.created": "", "later.user.created": "",
	}
	for typ, name := range want {
		if got := stream.ForType(typ); got != name {
			t.Errorf("ForType(%q) is %q, want %q", typ, got, name)
		}
	}
	for _, typ := range types() {
		if stream.AskedBy(string(typ)) == nil {
			t.Errorf("nobody is asked on %s", typ)
		}
		if !slices.Contains(stream.WorkStreams(), stream.ForType(typ)) {
			t.Errorf("%s is in no work stream", typ)
		}
	}
}

func TestAskedByNobody(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"", "user", "user.created.other", "later.user.created", "dead.mailer.user.created", "user.created.notify.x"} {
		if got := stream.AskedBy(subject); got != nil {
			t.Errorf("AskedBy(%q) is %v", subject, got)
		}
	}
	asked := stream.AskedBy("user.created.notify")
	asked[0] = "changed"
	if stream.AskedBy("user.created.notify")[0] == "changed" {
		t.Error("the table can be changed by its readers")
	}
}

func TestSubject(t *testing.T) {
	t.Parallel()
	tests := []struct {
		typ      event.Type
		services []string
		want     string
	}{
		{event.UserCreated, nil, "user.created"},
		{event.UserCreated, []string{"mailer"}, "user.created"},
		{event.UserCreated, []string{"notifier"}, "user.created.notify"},
		{event.UserCreated, []string{"notifier", "mailer"}, "user.created.notify"},
		{event.UserCreated, []string{"imager"}, "user.created"},
		{event.ImageRequested, []string{"imager"}, "image.requested"},
		{event.TaskRequested, nil, "task.requested"},
		{event.JobFinished, []string{"notifier"}, "job.finished"},
	}
	for _, tt := range tests {
		if got := stream.Subject(tt.typ, tt.services); got != tt.want {
			t.Errorf("Subject(%s, %v) is %s, want %s", tt.typ, tt.services, got, tt.want)
		}
	}
}

// Whatever an event asks for, as long as one route has all of it, is delivered to whom it asks, and on the narrowest one.
func TestSubjectReachesWhoIsAsked(t *testing.T) {
	t.Parallel()
	for _, route := range stream.Routes() {
		for set := range 1 << len(route.Services) {
			var asked []string
			for i, s := range route.Services {
				if set&(1<<i) != 0 {
					asked = append(asked, s)
				}
			}
			subject := stream.Subject(route.Type, asked)
			reached := delivered(subject)
			for _, s := range asked {
				if !slices.Contains(reached, s) {
					t.Errorf("%s for %v is published on %s, which does not reach %s", route.Type, asked, subject, s)
				}
			}
			if len(reached) > len(route.Services) {
				t.Errorf("%s for %v is published on %s, which reaches %v", route.Type, asked, subject, reached)
			}
		}
	}
}

func TestDurablesCoverTheTasks(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, d := range stream.Durables() {
		if name := d.Stream + " " + d.Name; seen[name] {
			t.Errorf("two consumers %s", name)
		} else {
			seen[name] = true
		}
		if of, ok := stream.DurableOf(d.Service, d.Type); !ok || of.Name != d.Name || of.Stream != stream.ForType(d.Type) {
			t.Errorf("the consumer of %s for %s is %+v, want %+v", d.Service, d.Type, of, d)
		}
		if slices.ContainsFunc(d.Filters, func(f string) bool { return strings.HasPrefix(f, "later.") }) {
			t.Errorf("%s reads what is not due: %v", d.Service, d.Filters)
		}
	}
	for _, task := range stream.AllTasks() {
		if _, ok := stream.DurableOf(task.Service, task.Type); !ok {
			t.Errorf("%s has no consumer for %s", task.Service, task.Type)
		}
		if got := stream.TaskName(task.Service, task.Type); got != task.Name {
			t.Errorf("a second task of %s for %s: %s and %s", task.Service, task.Type, task.Name, got)
		}
	}
	if got := stream.TaskName("mailer", event.ImageRequested); got != "" {
		t.Errorf("the mailer does %s", got)
	}
	if got, want := stream.Services(), []string{"mailer", "notifier", "imager", "tasker"}; len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("services are %v", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		stream.RetrySubject("mailer", event.UserCreated): "retry.mailer.user.created",
		stream.DeadSubject("mailer", "user.created"):     "dead.mailer.user.created",
		stream.DeadSubject("api", "user.oops"):           "dead.api.user.oops",
		stream.Bucket("mailer"):                          "JOBS_mailer",
		stream.BucketStream(stream.Bucket("mailer")):     "KV_JOBS_mailer",
		stream.RecordSubject("mailer", "j1"):             "$KV.JOBS_mailer.j1",
		strings.Join(stream.WorkStreams()[:4], ","):      "USERS,IMAGES,TASKS,CALLS",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if event.ValidID(stream.OpenKey) {
		t.Errorf("%s could be a job", stream.OpenKey)
	}
}
