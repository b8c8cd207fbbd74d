package main

import (
	"errors"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// balancer is what the kernel has of a socket load balancer: it goes with the
// process that holds it.
type balancer struct {
	// services has the backends by service, intended the service by the socket
	// that was taken elsewhere.
	services, intended *ebpf.Map
	held               []io.Closer
	// has are the services in the map.
	has table
}

// attach makes a balancer for the processes of a cgroup, with no service yet.
func attach(cgroup string) (b *balancer, err error) {
	b = &balancer{has: make(table)}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	// Without room that is kept, a reader never sees one half of a value that is
	// being replaced.
	const noPreallocation = 1
	b.services, err = b.newMap(&ebpf.MapSpec{
		Type: ebpf.Hash, Flags: noPreallocation, KeySize: endpointSize, ValueSize: backendsSize, MaxEntries: 1024,
	})
	if err != nil {
		return b, err
	}
	b.intended, err = b.newMap(&ebpf.MapSpec{Type: ebpf.LRUHash, KeySize: 8, ValueSize: endpointSize, MaxEntries: 4096})
	if err != nil {
		return b, err
	}
	for at, program := range b.programs() {
		if err := b.attachProgram(cgroup, at, program); err != nil {
			return b, err
		}
	}
	return b, nil
}

func (b *balancer) newMap(spec *ebpf.MapSpec) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(spec)
	if err == nil {
		b.held = append(b.held, m)
	}
	return m, err
}

func (b *balancer) attachProgram(cgroup string, at ebpf.AttachType, spec *ebpf.ProgramSpec) error {
	program, err := ebpf.NewProgram(spec)
	if err != nil {
		return err
	}
	b.held = append(b.held, program)
	attached, err := link.AttachCgroup(link.CgroupOptions{Path: cgroup, Attach: at, Program: program})
	if err != nil {
		return err
	}
	b.held = append(b.held, attached)
	return nil
}

// set replaces the services.
func (b *balancer) set(services table) error {
	for service, to := range services {
		if has, found := b.has[service]; found && has == to {
			continue
		}
		if err := b.services.Put(service, to); err != nil {
			return err
		}
	}
	for service := range b.has {
		if _, stays := services[service]; !stays {
			if err := b.services.Delete(service); err != nil {
				return err
			}
		}
	}
	b.has = services
	return nil
}

// Close takes it out of the kernel.
func (b *balancer) Close() error {
	var errs []error
	for _, held := range b.held {
		errs = append(errs, held.Close())
	}
	return errors.Join(errs...)
}
