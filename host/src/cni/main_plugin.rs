//! What the configuration says of the main plugin that calls us, as far as it matters for what we answer.

use super::netconf::NetConf;
use super::unread::Unread;

/// A main plugin that every subnet must have a gateway for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayUser {
    /// `bridge` that is the pods' gateway: where it is told of none it takes the address after the subnet's first one,
    /// and asks nobody.
    Bridge,
    /// `ptp`: it routes everything through the gateway, and fails without one.
    PointToPoint,
}

impl NetConf {
    /// The main plugin, if it is one that cannot do without a gateway. What it makes of values of the wrong type is its own
    /// business.
    pub fn gateway_user(&self) -> Option<GatewayUser> {
        let is_set = |field: &Option<Unread<bool>>| field.as_ref().is_some_and(|field| field.json() == "true");
        match self.main_plugin.as_ref()?.json() {
            r#""bridge""# if is_set(&self.is_gateway) || is_set(&self.is_default_gateway) => Some(GatewayUser::Bridge),
            r#""ptp""# => Some(GatewayUser::PointToPoint),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_needs_a_gateway() {
        let user = |rest: &str| NetConf::parse(format!("{{\"name\": \"n\"{rest}}}").as_bytes()).unwrap().gateway_user();
        let (bridge, ptp) = (Some(GatewayUser::Bridge), Some(GatewayUser::PointToPoint));
        for (rest, expected) in [
            ("", None),
            (r#", "type": "ptp""#, ptp),
            (r#", "type": "macvlan", "isGateway": true"#, None),
            (r#", "type": "bridge""#, None),
            (r#", "type": "bridge", "isGateway": false"#, None),
            (r#", "type": "bridge", "isGateway": true"#, bridge),
            (r#", "type": "bridge", "isGateway": false, "isDefaultGateway": true"#, bridge),
            // Of the wrong type: bridge itself refuses them, and no DEL shall stumble over them here.
            (r#", "type": "bridge", "isGateway": "true""#, None),
            (r#", "type": 7, "isGateway": {}"#, None),
        ] {
            assert_eq!(user(rest), expected, "{rest}");
        }
    }
}
