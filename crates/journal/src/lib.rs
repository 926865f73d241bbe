//! Notes, changes and chains: the domain, pure.
