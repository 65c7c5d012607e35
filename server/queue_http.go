package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"synap/command"
	"synap/metrics"
	"synap/resp"
	"synap/store"
)

// The pages of reliable queues on the side port, for people. What changes a
// queue needs http-admin, and runs as the command that it stands for.

const (
	pageQueues   = 100     // queues on a page unless ?count= says otherwise
	pageMessages = 10      // messages likewise
	pageMost     = 1000    // … of either
	pageScan     = 10_000  // keys looked at for one page of queues
	payloadShown = 4 << 10 // bytes of a payload or header
	answerMost   = 1 << 20 // bytes of messages in one answer, about
)

func (s *Server) queueRoutes() []metrics.Route {
	return []metrics.Route{
		{Method: http.MethodGet, Path: "/queues", Handler: s.queuesPage},
		{Method: http.MethodGet, Path: "/queues/{name}", Handler: s.queuePage},
		{Method: http.MethodGet, Path: "/queues/{name}/dead", Handler: s.deadPage},
		{Method: http.MethodPost, Path: "/queues/{name}/redrive", Handler: s.redrivePage},
		{Method: http.MethodPost, Path: "/queues/{name}/purge", Handler: s.purgePage},
	}
}

// queueCounts is what every page says of a queue.
type queueCounts struct {
	Name        text   `json:"name"`
	DB          int    `json:"db"`
	Ready       int    `json:"ready"`
	Unacked     int    `json:"unacked"`
	Delayed     int    `json:"delayed"`
	Dead        int    `json:"dead"`
	Consumers   int    `json:"consumers"`
	OldestAgeMs int64  `json:"oldest_age_ms"`
	Published   uint64 `json:"published"`
	Consumed    uint64 `json:"consumed"`
	Acked       uint64 `json:"acked"`
	Nacked      uint64 `json:"nacked"`
	Redelivered uint64 `json:"redelivered"`
	DeadLetters uint64 `json:"dead_lettered"`
	Expired     uint64 `json:"expired"`
	DeadDropped uint64 `json:"dead_dropped"`
	Bytes       int64  `json:"bytes"`
}

type queueSettings struct {
	MaxDepth      int64 `json:"max_depth"`
	AckDeadlineMs int64 `json:"ack_deadline_ms"`
	Retries       int64 `json:"retries"`
	BackoffMs     int64 `json:"backoff_ms"`
	BackoffMaxMs  int64 `json:"backoff_max_ms"`
	DLQMax        int64 `json:"dlq_max"`
	TTLMs         int64 `json:"ttl_ms"`
	Prefetch      int64 `json:"prefetch"`
}

// queueRates are messages a second, on average since the queue was last looked
// at; over no seconds at the first look.
type queueRates struct {
	Published float64 `json:"published"`
	Consumed  float64 `json:"consumed"`
	Acked     float64 `json:"acked"`
	Seconds   float64 `json:"over_seconds"`
}

// text is the beginning of some bytes as JSON: a string if they are valid UTF-8,
// else {"base64": "…"}. If there is more, {"begins": "…"} or base64 with "bytes",
// how many there are.
type text struct {
	shown []byte
	size  int
}

func textOf(b []byte) text {
	return text{append([]byte(nil), b[:min(len(b), payloadShown)]...), len(b)}
}

// MarshalJSON implements json.Marshaler.
func (t text) MarshalJSON() ([]byte, error) {
	b, whole := t.shown, len(t.shown) == t.size
	for k := 1; !whole && k < utf8.UTFMax && !utf8.Valid(b) && len(b) > 0; k++ {
		b = b[:len(b)-1] // not in the middle of a character
	}
	switch {
	case !utf8.Valid(b) && whole:
		return json.Marshal(map[string]any{"base64": t.shown})
	case !utf8.Valid(b):
		return json.Marshal(map[string]any{"base64": t.shown, "bytes": t.size})
	case !whole:
		return json.Marshal(map[string]any{"begins": string(b), "bytes": t.size})
	}
	return json.Marshal(string(b))
}

type messagePage struct {
	ID          text   `json:"id"`
	Payload     text   `json:"payload"`
	Priority    int    `json:"priority"`
	Deliveries  int    `json:"deliveries"`
	PublishedMs int64  `json:"published_ms"`
	Headers     []text `json:"headers,omitempty"` // fields and values in turn
	Reason      string `json:"reason,omitempty"`
	FirstMs     int64  `json:"first_failure_ms,omitempty"`
	LastMs      int64  `json:"last_failure_ms,omitempty"`
}

// queueQuery are the parameters that the pages share.
type queueQuery struct {
	url.Values
	db  int
	err error
}

func (s *Server) queueQuery(r *http.Request) *queueQuery {
	v, err := url.ParseQuery(r.URL.RawQuery)
	q := &queueQuery{Values: v, err: err}
	q.db = int(q.number("db", 0, 0, int64(s.store.Databases()-1)))
	return q
}

// number returns a parameter, or otherwise if there is none.
func (q *queueQuery) number(name string, otherwise, least, most int64) int64 {
	word := q.Get(name)
	if word == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || n < least || n > most {
		q.err = errors.Join(q.err, fmt.Errorf("%s must be a number from %d to %d", name, least, most))
	}
	return n
}

// answer sends JSON.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, why string) {
	answer(w, status, map[string]string{"error": why})
}

func countsOf(name []byte, db int, q *store.Queue, now int64) queueCounts {
	c := q.Counters()
	return queueCounts{
		Name: textOf(name), DB: db,
		Ready: q.In(store.Ready), Unacked: q.In(store.Unacked), Delayed: q.In(store.Delayed), Dead: q.In(store.Dead),
		Consumers: q.Consumers(now), OldestAgeMs: q.OldestAge(now),
		Published: c.Published, Consumed: c.Consumed, Acked: c.Acked, Nacked: c.Nacked, Redelivered: c.Redelivered,
		DeadLetters: c.DeadLettered, Expired: c.Expired, DeadDropped: c.DeadDropped, Bytes: q.Bytes(),
	}
}

// seeQueue calls see with a queue under its lock; false if there is none.
func (s *Server) seeQueue(db int, key []byte, see func(q *store.Queue, now int64)) bool {
	var tx store.Tx
	s.store.Begin(&tx, db, onlooker)
	tx.LockKey(key)
	defer tx.Unlock()
	q, err := tx.Queue(key, store.Peek)
	if err != nil || q == nil {
		return false
	}
	see(q, s.now().UnixMilli())
	return true
}

// queuesPage lists queues, a page at a time, as SCAN does: a page may have
// fewer than asked for, and the walk ends when cursor is 0.
func (s *Server) queuesPage(w http.ResponseWriter, r *http.Request) {
	q := s.queueQuery(r)
	count := int(q.number("count", pageQueues, 1, pageMost))
	cursor, err := strconv.ParseUint("0"+q.Get("cursor"), 10, 64)
	if err != nil {
		q.err = errors.Join(q.err, errors.New("cursor must be what an earlier page said"))
	}
	if q.err != nil {
		refuse(w, http.StatusBadRequest, q.err.Error())
		return
	}
	pattern, names, all := q.Get("match"), [][]byte{}, []queueCounts{}
	var tx store.Tx
	for looked := 0; looked < pageScan && len(names) < count; looked += pageQueues {
		s.store.Begin(&tx, q.db, onlooker)
		cursor = tx.Scan(cursor, pageQueues, func(key []byte, k store.Kind) {
			if k == store.KindQueue && (pattern == "" || command.Glob([]byte(pattern), key)) {
				names = append(names, append([]byte(nil), key...))
			}
		})
		if cursor == 0 {
			break
		}
	}
	for _, name := range names {
		s.seeQueue(q.db, name, func(queue *store.Queue, now int64) { all = append(all, countsOf(name, q.db, queue, now)) })
	}
	answer(w, http.StatusOK, map[string]any{"queues": all, "cursor": strconv.FormatUint(cursor, 10)})
}

// noQueue answers for a queue that is not there.
func noQueue(w http.ResponseWriter, name string) {
	refuse(w, http.StatusNotFound, string(resp.NoQueue([]byte(name))))
}

func (s *Server) queuePage(w http.ResponseWriter, r *http.Request) {
	q, name := s.queueQuery(r), r.PathValue("name")
	count := int(q.number("count", pageMessages, 1, pageMost))
	if q.err != nil {
		refuse(w, http.StatusBadRequest, q.err.Error())
		return
	}
	page := struct {
		queueCounts
		Rates    *queueRates   `json:"rates"`
		Settings queueSettings `json:"settings"`
		Messages []messagePage `json:"messages"`
	}{Messages: []messagePage{}}
	ok := s.seeQueue(q.db, []byte(name), func(queue *store.Queue, now int64) {
		page.queueCounts = countsOf([]byte(name), q.db, queue, now)
		page.Rates = s.rateBook.since(q.db, name, queue.Counters(), s.now())
		set := queue.Settings()
		page.Settings = queueSettings{
			set.MaxDepth, set.AckDeadline, set.Retries, set.Backoff, set.BackoffMax, set.DeadMax, set.TTL, set.Prefetch,
		}
		queue.Peek(store.Ready, collect(&page.Messages, count))
	})
	if !ok {
		noQueue(w, name)
		return
	}
	answer(w, http.StatusOK, page)
}

// collect returns a visit that copies up to count messages, as far as an answer
// has room.
func collect(to *[]messagePage, count int) func(store.Message) bool {
	room := answerMost
	take := func(b []byte) text {
		t := textOf(b)
		room -= len(t.shown) + 32
		return t
	}
	return func(m store.Message) bool {
		p := messagePage{
			ID: take(m.AppendID(nil)), Payload: take(m.Payload()),
			Priority: m.Priority(), Deliveries: m.Deliveries(), PublishedMs: m.Published(),
		}
		m.Headers(func(b []byte) {
			if room > 0 {
				p.Headers = append(p.Headers, take(b))
			}
		})
		if m.State == store.Dead {
			p.Reason, p.FirstMs, p.LastMs = m.Reason.String(), m.First(), m.Last
		}
		*to = append(*to, p)
		return len(*to) < count && room > 0
	}
}

func (s *Server) deadPage(w http.ResponseWriter, r *http.Request) {
	q, name := s.queueQuery(r), r.PathValue("name")
	count := int(q.number("count", pageMessages, 1, pageMost))
	offset := int(q.number("offset", 0, 0, math.MaxInt32))
	if q.err != nil {
		refuse(w, http.StatusBadRequest, q.err.Error())
		return
	}
	letters, dead := []messagePage{}, 0
	ok := s.seeQueue(q.db, []byte(name), func(queue *store.Queue, _ int64) {
		dead = queue.In(store.Dead)
		queue.DeadLetters(offset, collect(&letters, count))
	})
	if !ok {
		noQueue(w, name)
		return
	}
	answer(w, http.StatusOK, map[string]any{"dead": dead, "offset": offset, "letters": letters})
}

// redrivePage is QDLQ REDRIVE: of all, of the oldest ?count=, or of each ?id=,
// into ?to= if that is given.
func (s *Server) redrivePage(w http.ResponseWriter, r *http.Request) {
	args := []string{"QDLQ", r.PathValue("name"), "REDRIVE"}
	q := s.queueQuery(r)
	args = append(args, q.Values["id"]...)
	if q.Has("count") {
		args = append(args, "COUNT", q.Get("count"))
	}
	if q.Has("to") {
		args = append(args, "TO", q.Get("to"))
	}
	s.actOnQueue(w, q, "redriven", args)
}

// purgePage is QPURGE of a ?state=, which must be said.
func (s *Server) purgePage(w http.ResponseWriter, r *http.Request) {
	q := s.queueQuery(r)
	if q.Get("state") == "" {
		q.err = errors.Join(q.err, errors.New("state must be one of: ready, unacked, delayed, dead, all"))
	}
	s.actOnQueue(w, q, "purged", []string{"QPURGE", r.PathValue("name"), q.Get("state")})
}

// actOnQueue runs a command for the side port and says how many messages it
// concerned.
func (s *Server) actOnQueue(w http.ResponseWriter, q *queueQuery, what string, words []string) {
	switch {
	case !s.Config().HTTPAdmin:
		refuse(w, http.StatusForbidden, "http-admin is off: the side port may not change queues")
		return
	case q.err != nil:
		refuse(w, http.StatusBadRequest, q.err.Error())
		return
	case !s.seeQueue(q.db, []byte(words[1]), func(*store.Queue, int64) {}):
		noQueue(w, words[1])
		return
	}
	args := make([][]byte, len(words))
	for i, word := range words {
		args[i] = []byte(word)
	}
	out := s.runForSide(q.db, args)
	if n, ok := resp.ParseInt(bytes.TrimRight(bytes.TrimPrefix(out, []byte(":")), "\r\n")); ok {
		answer(w, http.StatusOK, map[string]int64{what: n})
		return
	}
	refuse(w, http.StatusConflict, string(bytes.TrimRight(bytes.TrimPrefix(out, []byte("-")), "\r\n")))
}

// runForSide runs a command that no client sent, as execute does, and returns
// its reply.
func (s *Server) runForSide(db int, args [][]byte) []byte {
	cmd := s.table.Lookup(args[0])
	w := s.spare.Get().(*worker)
	defer s.putBack(w)
	w.begin(s)
	s.store.Begin(&w.tx, db, w.now()/int64(time.Millisecond))
	w.want(db, cmd, args)
	w.tx.Lock()
	var out resp.Reply
	out.SetProto(2)
	s.call(w, &w.ctx, nil, cmd, args, &out)
	failed, took := out.Errors() > 0, w.watch.Now()-w.last
	w.tally.Record(w.loop, cmd.ID, took, failed)
	if failed {
		s.countError(out.LastError())
	}
	s.recordObjects(w, &w.ctx, cmd, args, took, failed)
	if len(w.ready) > 0 {
		s.serveReady(w)
	}
	w.tx.Unlock()
	if len(w.broadcasts) > 0 {
		s.tellBroadcasts(w)
	}
	if s.journal != nil {
		s.journal.Flush()
	}
	w.seq = 0
	return bytes.Clone(out.Bytes())
}

// rateBook remembers what queues had counted when they were last looked at.
type rateBook struct {
	mu   sync.Mutex // guards last
	last map[store.QueueName]rateMark
}

type rateMark struct {
	at    time.Time
	c     store.QueueCounters
	rates queueRates
}

const (
	rateMarks = 1000        // queues remembered
	rateLeast = time.Second // between two marks of a queue
)

// since returns the rates of a queue since it was last looked at.
func (b *rateBook) since(db int, name string, c store.QueueCounters, now time.Time) *queueRates {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := store.QueueName{DB: db, Key: name}
	old, ok := b.last[k]
	took := now.Sub(old.at)
	if ok && took < rateLeast {
		return &old.rates
	}
	if b.last == nil || len(b.last) >= rateMarks {
		b.last = map[store.QueueName]rateMark{}
	}
	mark := rateMark{at: now, c: c}
	if ok && c.Published >= old.c.Published && c.Consumed >= old.c.Consumed && c.Acked >= old.c.Acked {
		s := took.Seconds()
		mark.rates = queueRates{
			float64(c.Published-old.c.Published) / s, float64(c.Consumed-old.c.Consumed) / s, float64(c.Acked-old.c.Acked) / s, s,
		}
	}
	b.last[k] = mark
	return &mark.rates
}
