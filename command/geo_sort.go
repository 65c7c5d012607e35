package command

import (
	"math/bits"
	"slices"
)

// partialSort brings the first n of the list into order and leaves the rest
// anywhere: quicksort that looks only at parts with places below n (J. Bentley,
// M. McIlroy, Engineering a sort function, 1993). Equal elements end where
// Redis' pqsort leaves them. A list that makes it slow on purpose is sorted
// otherwise.
func partialSort[T any](list []T, n int, compare func(a, b *T) int) {
	s := partialSorter[T]{compare}
	s.sort(list, n, 4*bits.Len(uint(len(list))))
}

type partialSorter[T any] struct{ compare func(a, b *T) int }

func (s partialSorter[T]) sort(a []T, n, depth int) {
	for n > 0 {
		if len(a) < 7 {
			s.insertion(a)
			return
		}
		if depth--; depth < 0 {
			slices.SortFunc(a, func(x, y T) int { return s.compare(&x, &y) })
			return
		}
		p := s.pivot(a)
		a[0], a[p] = a[p], a[0]
		less, greater := s.partition(a)
		if less > 1 {
			s.sort(a[:less], n, depth)
		}
		if greater < 2 {
			return
		}
		n -= len(a) - greater
		a = a[len(a)-greater:]
	}
}

func (s partialSorter[T]) insertion(a []T) {
	for i := 1; i < len(a); i++ {
		for j := i; j > 0 && s.compare(&a[j-1], &a[j]) > 0; j-- {
			a[j], a[j-1] = a[j-1], a[j]
		}
	}
}

// pivot returns the middle element, or a median of three or of nine.
func (s partialSorter[T]) pivot(a []T) int {
	low, middle, high := 0, len(a)/2, len(a)-1
	if len(a) == 7 {
		return middle
	}
	if len(a) > 40 {
		d := len(a) / 8
		low = s.median(a, low, low+d, low+2*d)
		middle = s.median(a, middle-d, middle, middle+d)
		high = s.median(a, high-2*d, high-d, high)
	}
	return s.median(a, low, middle, high)
}

func (s partialSorter[T]) median(a []T, i, j, k int) int {
	if s.compare(&a[i], &a[j]) < 0 {
		switch {
		case s.compare(&a[j], &a[k]) < 0:
			return j
		case s.compare(&a[i], &a[k]) < 0:
			return k
		}
		return i
	}
	switch {
	case s.compare(&a[j], &a[k]) > 0:
		return j
	case s.compare(&a[i], &a[k]) < 0:
		return i
	}
	return k
}

// partition moves what is less than a[0] to the front and what is greater to
// the end, and returns how many these are. Equal ones gather at both ends first
// and are swapped to the middle.
func (s partialSorter[T]) partition(a []T) (less, greater int) {
	pa, pb := 1, 1
	pc, pd := len(a)-1, len(a)-1
	for {
		for pb <= pc {
			c := s.compare(&a[pb], &a[0])
			if c > 0 {
				break
			}
			if c == 0 {
				a[pa], a[pb] = a[pb], a[pa]
				pa++
			}
			pb++
		}
		for pb <= pc {
			c := s.compare(&a[pc], &a[0])
			if c < 0 {
				break
			}
			if c == 0 {
				a[pc], a[pd] = a[pd], a[pc]
				pd--
			}
			pc--
		}
		if pb > pc {
			break
		}
		a[pb], a[pc] = a[pc], a[pb]
		pb++
		pc--
	}
	swapEnds(a[:pb], min(pa, pb-pa))
	swapEnds(a[pb:], min(pd-pc, len(a)-1-pd))
	return pb - pa, pd - pc
}

// swapEnds swaps the first n elements with the last n.
func swapEnds[T any](a []T, n int) {
	for i, j := 0, len(a)-n; i < n; i, j = i+1, j+1 {
		a[i], a[j] = a[j], a[i]
	}
}
