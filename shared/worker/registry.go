package worker

import "sync"

// registry finds the claims that run in this process.
type registry struct {
	mu   sync.Mutex
	held map[string]*holder // by token
}

func (r *registry) add(h *holder) {
	r.mu.Lock()
	r.held[h.token] = h
	r.mu.Unlock()
}

func (r *registry) remove(h *holder) {
	r.mu.Lock()
	delete(r.held, h.token)
	r.mu.Unlock()
}

// tell has the claims of a job look at their record.
func (r *registry) tell(job string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.held {
		if h.env.ID != job {
			continue
		}
		select {
		case h.told <- struct{}{}:
		default: // it is about to look
		}
	}
}

func (r *registry) find(token string) *holder {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held[token]
}
