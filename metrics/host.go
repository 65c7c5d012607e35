package metrics

import (
	"os"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"
	"github.com/shirou/gopsutil/v3/process"
)

// ProcessStats are figures of this process and its host.
type ProcessStats struct {
	RSS         int64
	CPU1, CPU5  float64 // percent of one core over one and five minutes
	User, Sys   float64 // seconds of CPU so far
	HostUsed    int64
	HostTotal   int64
	Load        [3]float64 // 1, 5 and 15 minutes
	SampledFrom time.Time
}

// Host samples the process and the host.
type Host struct {
	mu       sync.Mutex // guards what follows
	interval time.Duration
	proc     *process.Process
	last     ProcessStats
	history  []cpuSample // oldest first, five minutes and one
}

type cpuSample struct {
	at   time.Time
	busy float64 // seconds of CPU
}

// NewHost returns a sampler; figures older than interval are taken anew.
func NewHost(interval time.Duration, now time.Time) *Host {
	h := &Host{interval: interval}
	if p, err := process.NewProcess(int32(os.Getpid())); err == nil {
		h.proc = p
	}
	h.sample(now)
	return h
}

// SetInterval changes the interval.
func (h *Host) SetInterval(d time.Duration) {
	h.mu.Lock()
	h.interval = d
	h.mu.Unlock()
}

// Stats returns the last sample, or a new one if that is older than the interval.
func (h *Host) Stats(now time.Time) ProcessStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.last.SampledFrom) >= h.interval {
		h.sample(now)
	} else if h.proc != nil {
		h.sampleOwn()
	}
	return h.last
}

// sampleOwn reads what is cheap to read and changes quickly: this process'
// memory and time. The times are nil if they cannot be read.
func (h *Host) sampleOwn() *cpu.TimesStat {
	if m, err := h.proc.MemoryInfo(); err == nil {
		h.last.RSS = int64(m.RSS)
	}
	t, err := h.proc.Times()
	if err != nil {
		return nil
	}
	h.last.User, h.last.Sys = t.User, t.System
	return t
}

// Run samples until stop is closed, so that the windows are right even if
// nobody scrapes.
func (h *Host) Run(stop <-chan struct{}) {
	for {
		h.mu.Lock()
		wait := h.interval
		h.mu.Unlock()
		timer := time.NewTimer(max(wait, time.Second))
		select {
		case <-stop:
			timer.Stop()
			return
		case now := <-timer.C:
			h.Stats(now)
		}
	}
}

// sample reads the system; what it cannot read stays as it was.
func (h *Host) sample(now time.Time) {
	s := &h.last
	s.SampledFrom = now
	if h.proc != nil {
		if t := h.sampleOwn(); t != nil {
			h.remember(now, t)
		}
	}
	if m, err := mem.VirtualMemory(); err == nil {
		s.HostUsed, s.HostTotal = int64(m.Used), int64(m.Total)
	}
	if l, err := load.Avg(); err == nil {
		s.Load = [3]float64{l.Load1, l.Load5, l.Load15}
	}
}

func (h *Host) remember(now time.Time, t *cpu.TimesStat) {
	h.history = append(h.history, cpuSample{now, t.User + t.System})
	for len(h.history) > 2 && now.Sub(h.history[1].at) >= 5*time.Minute {
		h.history = h.history[1:]
	}
	h.last.CPU1, h.last.CPU5 = h.over(time.Minute), h.over(5*time.Minute)
}

// over returns the CPU used over the window ending with the newest sample, from
// the latest sample that is at least so old, or else the oldest.
func (h *Host) over(window time.Duration) float64 {
	newest := h.history[len(h.history)-1]
	from := h.history[0]
	for _, s := range h.history {
		if newest.at.Sub(s.at) >= window {
			from = s
		}
	}
	passed := newest.at.Sub(from.at).Seconds()
	if passed <= 0 {
		return 0
	}
	return 100 * (newest.busy - from.busy) / passed
}
