#!/bin/bash
# Makes a KinD node of a fresh Debian. Runs once, inside the node's root folder.
set -o errexit -o nounset -o pipefail

units=/lib/systemd/system
# A node shares its kernel and its devices with the machine: what mounts,
# manages devices or opens consoles at boot is not for it.
rm -f "$units"/multi-user.target.wants/* "$units"/local-fs.target.wants/* "$units"/basic.target.wants/* \
  "$units"/sysinit.target.wants/systemd-tmpfiles-setup.service \
  "$units"/sockets.target.wants/*udev* "$units"/sockets.target.wants/*initctl* \
  /etc/systemd/system/*.wants/*
# Format handlers are registered for the whole kernel, not for one container.
systemctl mask systemd-binfmt.service
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
echo ReadKMsg=no >> /etc/systemd/journald.conf

mkdir -p /etc/kubernetes/manifests
# Every container's spec starts from this one. Its limits go, since a node
# cannot raise its own; the hook gives a container a product name of its own.
ctr oci spec | jq '
  del(.process.rlimits)
  | .hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}]
' > /etc/containerd/cri-base.json

# The root of the images that change the node's network, kube-proxy's and the
# CNI's: these programs and the libraries that they load. Without the names of
# protocols nft tells of 6 rather than tcp, and kube-proxy, which then does not
# know its own elements again, deletes them as it starts.
programs=$(command -v bash cat mv sleep ip nft conntrack \
  {iptables,ip6tables}{,-save,-restore})
extensions=$(echo /usr/lib/*/xtables/*.so)
libraries=$(ldd $programs $extensions | grep --only-matching '\s/lib[^ ]*' | sort --unique)
mkdir /network-root
cp --dereference --parents $programs $extensions $libraries /etc/protocols /network-root

rm -rf /var/cache/apt /var/lib/apt/lists /var/log/* /usr/share/{doc,man,locale,info}
