package journal

import (
	"errors"
	"io/fs"
)

// Adopt turns the single file that a Redis older than 7 kept into the base of a
// log, as Redis 7 does. The manifest comes first: should the power fail before
// the file has moved, the next start goes on from there.
func (f Files) Adopt(d Disk) error {
	if there, err := exists(d, f.Name); err != nil || !there {
		return err
	}
	switch there, err := exists(d, f.manifest()); {
	case err != nil:
		return err
	case !there:
		if err := errors.Join(f.strays(d), d.MakeDir(f.Dir)); err != nil {
			return err
		}
		m := Manifest{Base: f.Name, baseSeq: 1}
		if err := m.write(d, f.manifest()); err != nil {
			return err
		}
	default:
		m, _, err := f.read(d)
		if err != nil || m.Base != f.Name {
			return err
		}
		if moved, err := exists(d, f.path(f.Name)); err != nil || moved {
			return err
		}
	}
	return errors.Join(d.Rename(f.Name, f.path(f.Name)), d.SyncDir(f.Dir), d.SyncDir("."))
}

func exists(d Disk, name string) (bool, error) {
	_, release, err := d.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	release()
	return true, nil
}
