package worker

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	ended     *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	abandoned prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, service string) *metrics {
	labels := prometheus.Labels{"service": service}
	m := &metrics{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "handoff_attempts_total", Help: "Attempts that have ended, by outcome.", ConstLabels: labels,
		}, []string{"task", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "handoff_attempt_seconds", Help: "How long attempts took, claim to recorded end.", ConstLabels: labels,
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}, []string{"task"}),
		abandoned: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "handoff_handlers_abandoned", Help: "Handlers that run on although their context has ended.", ConstLabels: labels,
		}),
	}
	if reg != nil {
		m.ended, m.duration, m.abandoned = register(reg, m.ended), register(reg, m.duration), register(reg, m.abandoned)
	}
	return m
}

// register gives the collector that counts: an earlier worker's of this service, when a supervisor has started it anew.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	var again prometheus.AlreadyRegisteredError
	if err := reg.Register(c); errors.As(err, &again) {
		if old, ok := again.ExistingCollector.(C); ok {
			return old
		}
	}
	return c
}

func (m *metrics) end(task, outcome string, took time.Duration) {
	m.ended.WithLabelValues(task, outcome).Inc()
	if took > 0 {
		m.duration.WithLabelValues(task).Observe(took.Seconds())
	}
}
