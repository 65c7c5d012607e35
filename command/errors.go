package command

import (
	"errors"

	"synap/resp"
	"synap/store"
)

// translate gives an error in Redis' words: a resp.Error as it is, a sentinel
// of the store by its text. Anything else is a defect of ours and is said so.
func translate(err error) resp.Error {
	var e resp.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, store.ErrWrongType):
		return resp.ErrWrongType
	case errors.Is(err, store.ErrTooLarge):
		return resp.ErrStringTooLong
	case errors.Is(err, store.ErrPayload):
		return resp.ErrPayload
	case errors.Is(err, store.ErrBadData):
		return resp.ErrBadData
	case errors.Is(err, store.ErrConsumers):
		return resp.ErrConsumers
	case errors.Is(err, store.ErrQueueRoom):
		return resp.ErrQueueRoom
	case errors.Is(err, store.ErrQueueData):
		return resp.ErrQueueData
	}
	return resp.Error("ERR internal error: " + err.Error())
}
