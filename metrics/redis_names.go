package metrics

// redisNames shows the same snapshot under the names of redis_exporter, so that
// the stock dashboards and alert rules work without an exporter.
type redisNames struct {
	all []*desc
}

func newRedisNames() *redisNames { return &redisNames{} }

func (r *redisNames) collect(e *emitter, s *Stats) {}
