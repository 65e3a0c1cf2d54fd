package reconcile

import (
	"slices"

	"handoff/services/api/internal/backlog"
	"handoff/services/api/internal/commit"
)

const batchSize = 500 // tasks changed in one transaction

// task names one task.
type task struct{ job, service string }

// collect gives the tasks whose rows f selects, the oldest first.
func (r *Reconciler) collect(f func(*backlog.Row) bool) []task {
	type keyed struct {
		task
		key uint64
	}
	var rows []keyed
	r.parts.Backlog.Each(func(row *backlog.Row) bool {
		if f(row) {
			rows = append(rows, keyed{task{row.Job, row.Service}, row.Key})
		}
		return true
	})
	slices.SortFunc(rows, func(a, b keyed) int {
		if a.key < b.key {
			return -1
		}
		return 1
	})
	tasks := make([]task, len(rows))
	for i := range rows {
		tasks[i] = rows[i].task
	}
	return tasks
}

// inBatches calls f for each task, many in a transaction.
func (r *Reconciler) inBatches(tasks []task, f func(*commit.View, task) error) error {
	for batch := range slices.Chunk(tasks, batchSize) {
		err := r.parts.Writer.Do(func(v *commit.View) error {
			for _, t := range batch {
				if err := f(v, t); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
