package main

import (
	"context"
	"errors"
	"net"
	"net/rpc"
	"path/filepath"
	"time"
)

// A subject that plays a part takes directions: calls of the methods of one
// object, over a socket in the directory of the benchmark.

// serveDirections answers calls of the methods of actor until ctx ends.
func serveDirections(ctx context.Context, socket string, actor any) error {
	server := rpc.NewServer()
	if err := server.RegisterName("Actor", actor); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		connection, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		go server.ServeConn(connection)
	}
}

// player is a subject that plays a part.
type player struct {
	*process
	socket     string
	directions *rpc.Client
}

// startPlayer starts a subject that may do everything, with the path of its
// socket as its first argument, and waits until it takes directions.
func startPlayer(ctx context.Context, b *bench, c *cluster, name string, arguments ...string) (*player, error) {
	_, kubeconfig, err := c.user(b, name, "system:masters")
	if err != nil {
		return nil, err
	}
	p := &player{socket: filepath.Join(b.dir, name+".socket")}
	p.process, err = startSubject(ctx, b, name, []string{"KUBECONFIG=" + kubeconfig}, append([]string{p.socket}, arguments...)...)
	if err != nil {
		return nil, err
	}
	return p, await(ctx, name+" to take directions", 30*time.Second, func() (bool, error) {
		if err := p.alive(); err != nil {
			return false, err
		}
		connection, err := (&net.Dialer{}).DialContext(ctx, "unix", p.socket)
		if err != nil {
			return false, err
		}
		p.directions = rpc.NewClient(connection)
		return true, nil
	})
}

// direct calls a method of the subject.
func (p *player) direct(method string, argument, reply any) error {
	return errors.Join(p.directions.Call("Actor."+method, argument, reply), p.alive())
}
