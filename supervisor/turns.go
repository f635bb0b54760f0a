package supervisor

import "context"

// woken returns a channel that is closed when a change has moved after this call.
func (m *Manager) woken() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.news
}

func (m *Manager) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.news)
	m.news = make(chan struct{})
}

// owner is the token that allows one at a time to work on a service's containers.
func (m *Manager) owner(service string) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.owners[service] == nil {
		m.owners[service] = make(chan struct{}, 1)
	}
	return m.owners[service]
}

func (m *Manager) lock(ctx context.Context, service string) (unlock func(), ok bool) {
	o := m.owner(service)
	select {
	case o <- struct{}{}:
		return func() { <-o }, true
	case <-ctx.Done():
		return nil, false
	}
}

func (m *Manager) tryLock(service string) (unlock func(), ok bool) {
	o := m.owner(service)
	select {
	case o <- struct{}{}:
		return func() { <-o }, true
	default:
		return nil, false
	}
}
