package server

// Ahead implements resp.Ahead.
func (x *Session) Ahead() bool { return x.authd && x.srv.store.Sizable(x.db) }

// Prefetch implements resp.Ahead.
func (x *Session) Prefetch(keys [][]byte) { x.srv.store.Prefetch(x.db, keys) }
