package server

// Ahead implements resp.Ahead.
func (x *Session) Ahead() bool {
	return x.authd && (x.srv.store.Sizable(x.db) || x.own != nil && x.own.tx.Wide)
}

// Prefetch implements resp.Ahead.
func (x *Session) Prefetch(keys, members [][]byte) {
	x.srv.store.Prefetch(x.db, keys)
	if x.own != nil && x.own.tx.Wide {
		x.srv.store.PrefetchMembers(x.db, keys, members)
	}
}
