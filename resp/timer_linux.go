package resp

// timers is a loop's deadlines: a 4-ary heap of connections by time, each with
// at most one entry. The design's hashed wheel was not taken: the heap knows the
// next deadline without looking (an idle loop sleeps until it) and keeps it to
// the nanosecond, and deadlines change only when a session parks, stalls or
// expires, never per request.
type timers struct{ heap []timer }

type timer struct {
	when int64 // Monotonic
	conn *loopConn
}

const noTimer = -1

// next returns the earliest deadline, 0 if there is none.
func (t *timers) next() int64 {
	if len(t.heap) == 0 {
		return 0
	}
	return t.heap[0].when
}

// due removes and returns a connection whose deadline is not after now, or nil.
func (t *timers) due(now int64) *loopConn {
	if len(t.heap) == 0 || t.heap[0].when > now {
		return nil
	}
	c := t.heap[0].conn
	t.set(c, 0)
	return c
}

// set gives c the deadline when; 0 = none.
func (t *timers) set(c *loopConn, when int64) {
	i := int(c.timer)
	switch {
	case when == 0 && i == noTimer:
	case when == 0:
		last := len(t.heap) - 1
		c.timer = noTimer
		moved := t.heap[last]
		t.heap[last] = timer{}
		t.heap = t.heap[:last]
		if i < last {
			t.fix(i, moved)
		}
	case i == noTimer:
		t.heap = append(t.heap, timer{})
		t.up(len(t.heap)-1, timer{when, c})
	case t.heap[i].when != when:
		t.fix(i, timer{when, c})
	}
}

func (t *timers) put(i int, e timer) {
	t.heap[i] = e
	e.conn.timer = int32(i)
}

func (t *timers) fix(i int, e timer) {
	if i > 0 && e.when < t.heap[(i-1)/4].when {
		t.up(i, e)
		return
	}
	t.down(i, e)
}

func (t *timers) up(i int, e timer) {
	for i > 0 {
		parent := (i - 1) / 4
		if t.heap[parent].when <= e.when {
			break
		}
		t.put(i, t.heap[parent])
		i = parent
	}
	t.put(i, e)
}

func (t *timers) down(i int, e timer) {
	for {
		first := 4*i + 1
		if first >= len(t.heap) {
			break
		}
		least := first
		for child := first + 1; child < min(first+4, len(t.heap)); child++ {
			if t.heap[child].when < t.heap[least].when {
				least = child
			}
		}
		if e.when <= t.heap[least].when {
			break
		}
		t.put(i, t.heap[least])
		i = least
	}
	t.put(i, e)
}
