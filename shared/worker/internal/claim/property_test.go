package claim

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"handoff/shared/event"
)

func outcomes() []Outcome {
	boom := errors.New("boom")
	return []Outcome{{Result: []byte("1")}, {Err: boom}, {Err: boom, Delay: 3 * ackWait}, {Err: boom, Permanent: true}, {Err: boom, Release: true}}
}

// settle lets everything that is left take its course, without further faults, and checks that it comes to an end.
func (m *model) settle(t *rapid.T) {
	for range 2000 {
		if len(m.deliverable())+len(m.deliveries)+len(m.holders) == 0 && !slices.ContainsFunc(m.messages, func(msg *message) bool { return !msg.answered }) {
			if !m.record.State.Ended() || m.record.Generation != m.generation {
				t.Fatalf("all is answered, and the record is %+v, generation %d was asked for", m.record, m.generation)
			}
			return
		}
		for _, msg := range m.deliverable() {
			m.deliver(msg, 0)
		}
		for _, d := range slices.Clone(m.deliveries) {
			m.step(t, d)
		}
		for _, h := range slices.Clone(m.holders) {
			m.end(t, h, Outcome{Result: []byte("1")})
		}
		m.pass(t, tick)
	}
	t.Fatalf("stuck: %+v", m.record)
}

func TestClaimsOfOneTask(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		t.Repeat(map[string]func(*rapid.T){
			"deliver": func(t *rapid.T) {
				all := m.deliverable()
				if len(all) == 0 {
					t.Skip("nothing to deliver")
				}
				m.deliver(rapid.SampledFrom(all).Draw(t, "message"), rapid.IntRange(0, processes-1).Draw(t, "process"))
			},
			"work": func(t *rapid.T) { // a delivery's whole way, with nothing in between but time
				all := m.deliverable()
				if len(all) == 0 {
					m.pass(t, ackWait/2)
					return
				}
				m.deliver(rapid.SampledFrom(all).Draw(t, "message"), rapid.IntRange(0, processes-1).Draw(t, "process"))
				d := m.deliveries[len(m.deliveries)-1]
				for range 16 {
					if slices.Contains(m.deliveries, d) {
						m.step(t, d)
						m.pass(t, rapid.SampledFrom([]time.Duration{0, tick}).Draw(t, "wait"))
					}
				}
			},
			"step": func(t *rapid.T) {
				if len(m.deliveries) == 0 {
					t.Skip("none in hand")
				}
				d := rapid.SampledFrom(m.deliveries).Draw(t, "delivery")
				for range rapid.IntRange(1, 3).Draw(t, "steps") {
					if slices.Contains(m.deliveries, d) {
						m.step(t, d)
					}
				}
			},
			"time": func(t *rapid.T) {
				m.pass(t, time.Duration(rapid.SampledFrom([]int{1, 2, 8, 8, 16, 40}).Draw(t, "ticks"))*tick)
			},
			"duplicate": func(t *rapid.T) {
				if len(m.messages) > 5 {
					t.Skip("enough")
				}
				g := rapid.IntRange(0, m.generation).Draw(t, "generation")
				m.messages = append(m.messages, &message{generation: g, visible: m.now})
			},
			"redeliver early": func(t *rapid.T) { // as after a reconnect, or a lost answer
				msg := rapid.SampledFrom(m.messages).Draw(t, "message")
				msg.visible = m.now
				if rapid.Bool().Draw(t, "its answer was lost") && msg.generation == m.generation {
					msg.answered = false
				}
			},
			"redrive": func(*rapid.T) { // of what the api knows to have ended, be the record behind or not
				if m.generation > 3 {
					return
				}
				m.generation++
				m.messages = append(m.messages, &message{generation: m.generation, visible: m.now})
			},
			"cancel": func(t *rapid.T) { // the api, by compare-and-set; the holder is told
				if m.record == nil || m.record.State != event.Running || rapid.IntRange(0, 3).Draw(t, "seldom") > 0 {
					t.Skip("nothing to cancel")
				}
				r := *m.record
				r.State = event.Cancelled
				m.write(t, &r, m.revision)
				m.holders = nil // its deliveries come again and meet the record
			},
			"fail": func(t *rapid.T) {
				if len(m.holders) == 0 {
					t.Skip("nothing runs")
				}
				m.end(t, m.holders[0], rapid.SampledFrom(outcomes()[1:]).Draw(t, "outcome"))
			},
			"crash": func(t *rapid.T) { m.crash(rapid.IntRange(0, processes-1).Draw(t, "process")) },
			"end": func(t *rapid.T) {
				if len(m.holders) == 0 {
					t.Skip("nothing runs")
				}
				m.end(t, m.holders[0], rapid.SampledFrom(outcomes()).Draw(t, "outcome"))
			},
			"": func(t *rapid.T) {
				if len(m.holders) > 1 {
					t.Fatalf("%d live holders", len(m.holders))
				}
			},
		})
		m.settle(t)
	})
}
