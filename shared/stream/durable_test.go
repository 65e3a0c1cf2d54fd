package stream

import (
	"slices"
	"testing"

	"handoff/shared/event"
)

// A second task of a service in a stream has a consumer of its own, and changes nothing of the first one's.
func TestASecondTaskHasItsOwnConsumer(t *testing.T) {
	t.Parallel()
	const deleted event.Type = "user.deleted"
	routes := append(Routes(), Route{deleted, "user.deleted", []string{"mailer"}}, Route{deleted, "user.deleted.loudly", []string{"mailer", "notifier"}})
	tasks := append(AllTasks(), Task{"mailer", deleted, "farewell"}, Task{"nobody", "user.renamed", "never-asked"})
	got := durables(routes, tasks)
	if now := Durables(); !slices.EqualFunc(got[:len(now)], now, func(a, b Durable) bool {
		return a.Name == b.Name && a.Stream == b.Stream && slices.Equal(a.Filters, b.Filters)
	}) {
		t.Errorf("what was there has become %+v", got)
	}
	want := Durable{"mailer-farewell", "mailer", Users, deleted, []string{"user.deleted", "user.deleted.loudly", "retry.mailer.user.deleted"}}
	last := got[len(got)-1]
	if last.Name != want.Name || last.Service != want.Service || last.Stream != want.Stream || last.Type != want.Type || !slices.Equal(last.Filters, want.Filters) {
		t.Errorf("the new one is %+v, want %+v", last, want)
	}
}
