package ledger

import (
	"container/list"
	"sync"

	"github.com/castellan/castellan/trust"
)

// cacheBytes bounds what parsed records and publisher chains may hold; records are up to 1 MiB, so counting them
// would bound nothing.
const cacheBytes = 4 << 20

// cache keeps the parsed records and verified chains used last. It is safe for concurrent use.
type cache struct {
	mu    sync.Mutex
	left  int
	all   int
	order *list.List // of *cached, last used first
	items map[any]*list.Element
}

type cached struct {
	key   any // place or publisher ID
	value any
	size  int
}

func newCache(bytes int) *cache {
	return &cache{left: bytes, all: bytes, order: list.New(), items: map[any]*list.Element{}}
}

func (c *cache) record(p place) (trust.Record, bool) {
	v, ok := c.get(p)
	rec, _ := v.(trust.Record)
	return rec, ok
}

func (c *cache) addRecord(p place, rec trust.Record) { c.add(p, rec, sizeOf(rec.Envelope)) }

func (c *cache) chain(id string) ([]trust.PlacedPublisher, bool) {
	v, ok := c.get(id)
	chain, _ := v.([]trust.PlacedPublisher)
	return chain, ok
}

func (c *cache) addChain(id string, chain []trust.PlacedPublisher) {
	size := len(id)
	for _, d := range chain {
		size += sizeOf(d.Envelope)
	}
	c.add(id, chain, size)
}

// sizeOf estimates: the decoded form takes about as much as the payload, and then there is what Go adds.
func sizeOf(e trust.Envelope) int { return 1024 + 2*len(e.Payload) }

func (c *cache) get(key any) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).value, true
}

func (c *cache) add(key, value any, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[key]; ok || size > c.all/4 {
		return
	}
	for c.left < size {
		last := c.order.Back()
		old := c.order.Remove(last).(*cached)
		delete(c.items, old.key)
		c.left += old.size
	}
	c.items[key] = c.order.PushFront(&cached{key, value, size})
	c.left -= size
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = c.all
	c.order.Init()
	clear(c.items)
}
