package main

import (
	"encoding/binary"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Where struct bpf_sock_addr has what a socket connects to.
const (
	ctxIP4  = 4
	ctxIP6  = 8
	ctxPort = 24
	ctxType = 32
)

// The stack of the programs: the endpoint that was asked for, and the socket's
// cookie.
const (
	stackEndpoint = -endpointSize
	stackCookie   = -32
)

// programs are the kernel's programs by what they are called for.
func (b *balancer) programs() map[ebpf.AttachType]*ebpf.ProgramSpec {
	programs := make(map[ebpf.AttachType]*ebpf.ProgramSpec)
	for at, instructions := range map[ebpf.AttachType]asm.Instructions{
		ebpf.AttachCGroupInet4Connect:     b.connect(loadIP4, storeIP4),
		ebpf.AttachCGroupInet6Connect:     b.connect(loadIP6, storeIP6),
		ebpf.AttachCgroupInet4GetPeername: b.peername(storeIP4),
		ebpf.AttachCgroupInet6GetPeername: b.peername(storeIP6),
	} {
		programs[at] = &ebpf.ProgramSpec{
			Type: ebpf.CGroupSockAddr, AttachType: at, License: "Apache-2.0", Instructions: instructions,
		}
	}
	return programs
}

// connect takes a socket of a service's address to one of the backends. load puts
// the address in R6's context on the stack, and store puts the endpoint at R7
// into the context.
func (b *balancer) connect(load, store func() asm.Instructions) asm.Instructions {
	return concat(
		asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1),
			asm.LoadMem(asm.R1, asm.R6, ctxType, asm.Word),
			asm.JNE.Imm(asm.R1, syscall.SOCK_STREAM, "proceed"),
		},
		load(),
		asm.Instructions{
			asm.LoadMem(asm.R1, asm.R6, ctxPort, asm.Word),
			asm.StoreMem(asm.RFP, stackEndpoint+16, asm.R1, asm.Word),
		},
		lookUp(b.services, stackEndpoint),
		asm.Instructions{
			asm.JEq.Imm(asm.R0, 0, "proceed"),
			asm.Mov.Reg(asm.R7, asm.R0),
			asm.LoadMem(asm.R8, asm.R7, 0, asm.Word),
			asm.JEq.Imm(asm.R8, 0, "unreachable"),

			// R7 is that of a backend at random. The bound is for the kernel to see.
			asm.FnGetPrandomU32.Call(),
			asm.Mod.Reg(asm.R0, asm.R8),
			asm.JGE.Imm(asm.R0, most, "proceed"),
			asm.Mul.Imm(asm.R0, endpointSize),
			asm.Add.Reg(asm.R7, asm.R0),
			asm.Add.Imm(asm.R7, 4),
		},
		cookie(),
		asm.Instructions{
			asm.LoadMapPtr(asm.R1, b.intended.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, stackCookie),
			asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, stackEndpoint),
			asm.Mov.Imm(asm.R4, 0),
			asm.FnMapUpdateElem.Call(),
		},
		store(),
		proceed(),
		asm.Instructions{
			// As Cilium has it where a service has no backend.
			asm.Mov.Imm(asm.R1, -int32(syscall.EHOSTUNREACH)).WithSymbol("unreachable"),
			asm.FnSetRetval.Call(),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
		},
	)
}

// peername tells a socket that was taken elsewhere where it wanted to go.
func (b *balancer) peername(store func() asm.Instructions) asm.Instructions {
	return concat(
		asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)},
		cookie(),
		lookUp(b.intended, stackCookie),
		asm.Instructions{
			asm.JEq.Imm(asm.R0, 0, "proceed"),
			asm.Mov.Reg(asm.R7, asm.R0),
		},
		store(),
		proceed(),
	)
}

func proceed() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R0, 1).WithSymbol("proceed"),
		asm.Return(),
	}
}

// cookie puts the socket's cookie on the stack.
func cookie() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.FnGetSocketCookie.Call(),
		asm.StoreMem(asm.RFP, stackCookie, asm.R0, asm.DWord),
	}
}

// lookUp makes R0 what a map has by a key on the stack, or 0.
func lookUp(m *ebpf.Map, key int32) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, key),
		asm.FnMapLookupElem.Call(),
	}
}

// mapped returns the third word of an address of IPv4 as IPv6 has it.
func mapped() int64 { return int64(int32(binary.NativeEndian.Uint32([]byte{0, 0, 0xff, 0xff}))) }

func loadIP4() asm.Instructions {
	return asm.Instructions{
		asm.StoreImm(asm.RFP, stackEndpoint, 0, asm.Word),
		asm.StoreImm(asm.RFP, stackEndpoint+4, 0, asm.Word),
		asm.StoreImm(asm.RFP, stackEndpoint+8, mapped(), asm.Word),
		asm.LoadMem(asm.R1, asm.R6, ctxIP4, asm.Word),
		asm.StoreMem(asm.RFP, stackEndpoint+12, asm.R1, asm.Word),
	}
}

func storeIP4() asm.Instructions {
	return concat(copyWord(12, ctxIP4), copyWord(16, ctxPort))
}

func loadIP6() asm.Instructions {
	var instructions asm.Instructions
	for offset := int16(0); offset < 16; offset += 4 {
		instructions = append(instructions,
			asm.LoadMem(asm.R1, asm.R6, ctxIP6+offset, asm.Word),
			asm.StoreMem(asm.RFP, stackEndpoint+offset, asm.R1, asm.Word))
	}
	return instructions
}

func storeIP6() asm.Instructions {
	var instructions asm.Instructions
	for offset := int16(0); offset < 16; offset += 4 {
		instructions = append(instructions, copyWord(offset, ctxIP6+offset)...)
	}
	return append(instructions, copyWord(16, ctxPort)...)
}

// copyWord copies a word of the endpoint at R7 into the context.
func copyWord(from, to int16) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R1, asm.R7, from, asm.Word),
		asm.StoreMem(asm.R6, to, asm.R1, asm.Word),
	}
}

func concat(parts ...asm.Instructions) asm.Instructions {
	var all asm.Instructions
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}
