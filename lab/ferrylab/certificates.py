# SPDX-License-Identifier: LGPL-2.1-or-later
"""A certificate authority of a lab, and what libvirt's own TLS wants of it on each hypervisor."""

import os

from . import topology

FOLDER = "/etc/pki/libvirt-migrate"  # libvirt's default for migrations
CA_TEMPLATE = "cn = ferry lab\nca\ncert_signing_key\nexpiration_days = 30\n"
HOST_TEMPLATE = """\
cn = {name}
dns_name = {name}
{addresses}
tls_www_server
tls_www_client
signing_key
encryption_key
expiration_days = 30
"""


def libvirt_tls(hypervisors):
    """Give each a certificate for `virsh migrate --tls`: memory and disks, each side proven to the other.

    The authority's key is made on the first and never leaves it and this process. libvirt reads
    its settings when it starts: call this before start_libvirt() or libvirtd_listen_tcp().
    """
    first = hypervisors[0]
    first.write("/run/ca/template", CA_TEMPLATE)
    first.run(["certtool", "--generate-privkey", "--ecc", "--outfile", "/run/ca/key"])
    first.run(["certtool", "--generate-self-signed", "--load-privkey", "/run/ca/key",
               "--template", "/run/ca/template", "--outfile", "/run/ca/cert"])
    for host in hypervisors:
        _certify(first, host)
        conf = "/etc/libvirt/qemu.conf"
        host.write(conf, host.read(conf) + "migrate_tls_x509_verify = 1\n")


def _certify(first, host):
    addresses = "\n".join(f"ip_address = {host.address(network)}" for network in topology.NETWORKS)
    first.write("/run/ca/host", HOST_TEMPLATE.format(name=host.name, addresses=addresses))
    first.run(["certtool", "--generate-privkey", "--ecc", "--outfile", "/run/ca/host-key"])
    first.run(["certtool", "--generate-certificate", "--load-privkey", "/run/ca/host-key",
               "--load-ca-certificate", "/run/ca/cert", "--load-ca-privkey", "/run/ca/key",
               "--template", "/run/ca/host", "--outfile", "/run/ca/host-cert"])
    key, cert = first.read("/run/ca/host-key"), first.read("/run/ca/host-cert")
    for side in ("server", "client"):
        host.write(f"{FOLDER}/{side}-cert.pem", cert)
        host.write(f"{FOLDER}/{side}-key.pem", key)
        host.call(os.chmod, f"{FOLDER}/{side}-key.pem", 0o600)
    host.write(f"{FOLDER}/ca-cert.pem", first.read("/run/ca/cert"))
