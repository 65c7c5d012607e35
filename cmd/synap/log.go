package main

import (
	"os"
	"sync"
)

// logOutput is where log lines go: standard output, or a file that can be
// opened anew after it was rotated.
type logOutput struct {
	path string
	mu   sync.Mutex // guards file
	file *os.File
}

func openLog(path string, stdout *os.File) (*logOutput, error) {
	l := &logOutput{path: path, file: stdout}
	if path == "" {
		return l, nil
	}
	f, err := openAppend(path)
	l.file = f
	return l, err
}

func openAppend(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
}

// Write implements io.Writer; slog hands over whole lines.
func (l *logOutput) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(line)
}

// reopen follows a rotated file. On an error the old one is kept.
func (l *logOutput) reopen() error {
	if l.path == "" {
		return nil
	}
	f, err := openAppend(l.path)
	if err != nil {
		return err
	}
	l.mu.Lock()
	old := l.file
	l.file = f
	l.mu.Unlock()
	return old.Close()
}

// terminal tells whether a person reads along.
func (l *logOutput) terminal() bool {
	info, err := l.file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
