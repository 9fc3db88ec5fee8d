use std::net::IpAddr;

/// Whether a proxy from the environment is passed by for this host, by `NO_PROXY`
/// or because the host is this machine.
///
/// kube asks this of the proxy's own address, so that `NO_PROXY` never helps, and
/// has no exception for loopback. Here it is as Go has it, so that helm, kubectl
/// and Lariat reach the same cluster in the same way.
pub(super) fn is_passed_by(host: &str, no_proxy: Option<&str>) -> bool {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    no_proxy.unwrap_or_default().split(',').map(str::trim).any(|entry| covers(entry, &host, address))
}

fn covers(entry: &str, host: &str, address: Option<IpAddr>) -> bool {
    let entry = entry.to_ascii_lowercase();
    if entry == "*" {
        return true;
    }
    if let Some((net, bits)) = entry.split_once('/') {
        let (Ok(net), Ok(bits), Some(address)) = (net.parse(), bits.parse(), address) else {
            return false;
        };
        return in_network(address, net, bits);
    }
    if let Some(address) = address {
        let bare = entry.trim_matches(['[', ']']);
        let without_port = entry.rsplit_once(':').map_or("", |(name, _)| name.trim_matches(['[', ']']));
        return [bare, without_port].iter().any(|text| text.parse() == Ok(address));
    }
    let name = entry.split(':').next().unwrap_or_default();
    let name = name.trim_start_matches('*');
    let domain = name.trim_start_matches('.');
    let is_below = host.strip_suffix(domain).is_some_and(|above| above.ends_with('.'));
    !domain.is_empty() && (is_below || (host == domain && !name.starts_with('.')))
}

fn in_network(address: IpAddr, net: IpAddr, bits: u32) -> bool {
    let shift = |width: u32| width.checked_sub(bits);
    match (address, net) {
        (IpAddr::V4(address), IpAddr::V4(net)) => {
            shift(32).is_some_and(|by| (address.to_bits() ^ net.to_bits()).checked_shr(by).unwrap_or(0) == 0)
        }
        (IpAddr::V6(address), IpAddr::V6(net)) => {
            shift(128).is_some_and(|by| (address.to_bits() ^ net.to_bits()).checked_shr(by).unwrap_or(0) == 0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_reached_without_a_proxy() {
        for (host, no_proxy, passed_by) in [
            ("127.0.0.1", "", true),
            ("[::1]", "", true),
            ("localhost", "", true),
            ("example.org", "", false),
            ("example.org", "*", true),
            ("example.org", "example.org", true),
            ("a.example.org", "example.org", true),
            ("badexample.org", "example.org", false),
            ("a.example.org", ".example.org", true),
            ("example.org", ".example.org", false),
            ("a.example.org", "*.example.org:443, x", true),
            ("EXAMPLE.org.", "example.ORG", true),
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("10.1.2.3", "0.0.0.0/0", true),
            ("10.1.2.3", "10.0.0.0/33", false),
            ("10.1.2.3", "10.1.2.3:6443", true),
            ("fd00::1", "fd00::/8", true),
            ("fd00::1", "fd00::1", true),
            ("10.1.2.3", "fd00::/8, nonsense/x", false),
        ] {
            assert_eq!(is_passed_by(host, Some(no_proxy)), passed_by, "{host} with {no_proxy:?}");
        }
    }
}
