package store

// Databases returns how many databases there are.
func (tx *Tx) Databases() int { return tx.store.Databases() }

// Size returns the number of keys of the current database, those included
// whose time has come but that were not removed yet.
func (tx *Tx) Size() int { return tx.store.DBSize(tx.db) }
