impl serde::Serialize for AccessLogRule {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.disabled {
            len += 1;
        }
        if self.filter.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.AccessLogRule", len)?;
        if self.disabled {
            struct_ser.serialize_field("disabled", &self.disabled)?;
        }
        if let Some(v) = self.filter.as_ref() {
            struct_ser.serialize_field("filter", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for AccessLogRule {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "disabled",
            "filter",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Disabled,
            Filter,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "disabled" => Ok(GeneratedField::Disabled),
                            "filter" => Ok(GeneratedField::Filter),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = AccessLogRule;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.AccessLogRule")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<AccessLogRule, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut disabled__ = None;
                let mut filter__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Disabled => {
                            if disabled__.is_some() {
                                return Err(serde::de::Error::duplicate_field("disabled"));
                            }
                            disabled__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Filter => {
                            if filter__.is_some() {
                                return Err(serde::de::Error::duplicate_field("filter"));
                            }
                            filter__ = map_.next_value()?;
                        }
                    }
                }
                Ok(AccessLogRule {
                    disabled: disabled__.unwrap_or_default(),
                    filter: filter__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.AccessLogRule", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Ack {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.nonce.is_empty() {
            len += 1;
        }
        if self.revision != 0 {
            len += 1;
        }
        if !self.rejected.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Ack", len)?;
        if !self.nonce.is_empty() {
            struct_ser.serialize_field("nonce", &self.nonce)?;
        }
        if self.revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if !self.rejected.is_empty() {
            struct_ser.serialize_field("rejected", &self.rejected)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Ack {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "nonce",
            "revision",
            "rejected",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Nonce,
            Revision,
            Rejected,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "nonce" => Ok(GeneratedField::Nonce),
                            "revision" => Ok(GeneratedField::Revision),
                            "rejected" => Ok(GeneratedField::Rejected),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Ack;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Ack")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Ack, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut nonce__ = None;
                let mut revision__ = None;
                let mut rejected__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Nonce => {
                            if nonce__.is_some() {
                                return Err(serde::de::Error::duplicate_field("nonce"));
                            }
                            nonce__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Revision => {
                            if revision__.is_some() {
                                return Err(serde::de::Error::duplicate_field("revision"));
                            }
                            revision__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Rejected => {
                            if rejected__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rejected"));
                            }
                            rejected__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Ack {
                    nonce: nonce__.unwrap_or_default(),
                    revision: revision__.unwrap_or_default(),
                    rejected: rejected__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Ack", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for AdaptiveLimit {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "ADAPTIVE_LIMIT_UNSPECIFIED",
            Self::On => "ADAPTIVE_LIMIT_ON",
            Self::Off => "ADAPTIVE_LIMIT_OFF",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for AdaptiveLimit {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "ADAPTIVE_LIMIT_UNSPECIFIED",
            "ADAPTIVE_LIMIT_ON",
            "ADAPTIVE_LIMIT_OFF",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = AdaptiveLimit;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "ADAPTIVE_LIMIT_UNSPECIFIED" => Ok(AdaptiveLimit::Unspecified),
                    "ADAPTIVE_LIMIT_ON" => Ok(AdaptiveLimit::On),
                    "ADAPTIVE_LIMIT_OFF" => Ok(AdaptiveLimit::Off),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for Admission {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.rate_limits.is_empty() {
            len += 1;
        }
        if self.overload.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Admission", len)?;
        if !self.rate_limits.is_empty() {
            struct_ser.serialize_field("rate_limits", &self.rate_limits)?;
        }
        if let Some(v) = self.overload.as_ref() {
            struct_ser.serialize_field("overload", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Admission {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "rate_limits",
            "rateLimits",
            "overload",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            RateLimits,
            Overload,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "rateLimits" | "rate_limits" => Ok(GeneratedField::RateLimits),
                            "overload" => Ok(GeneratedField::Overload),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Admission;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Admission")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Admission, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut rate_limits__ = None;
                let mut overload__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::RateLimits => {
                            if rate_limits__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rateLimits"));
                            }
                            rate_limits__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Overload => {
                            if overload__.is_some() {
                                return Err(serde::de::Error::duplicate_field("overload"));
                            }
                            overload__ = map_.next_value()?;
                        }
                    }
                }
                Ok(Admission {
                    rate_limits: rate_limits__.unwrap_or_default(),
                    overload: overload__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Admission", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for AppEndpoint {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.prefer_ipv6 {
            len += 1;
        }
        if self.kind.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.AppEndpoint", len)?;
        if self.prefer_ipv6 {
            struct_ser.serialize_field("prefer_ipv6", &self.prefer_ipv6)?;
        }
        if let Some(v) = self.kind.as_ref() {
            match v {
                app_endpoint::Kind::LoopbackPort(v) => {
                    struct_ser.serialize_field("loopback_port", v)?;
                }
                app_endpoint::Kind::InstancePort(v) => {
                    struct_ser.serialize_field("instance_port", v)?;
                }
                app_endpoint::Kind::UnixPath(v) => {
                    struct_ser.serialize_field("unix_path", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for AppEndpoint {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "prefer_ipv6",
            "preferIpv6",
            "loopback_port",
            "loopbackPort",
            "instance_port",
            "instancePort",
            "unix_path",
            "unixPath",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            PreferIpv6,
            LoopbackPort,
            InstancePort,
            UnixPath,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "preferIpv6" | "prefer_ipv6" => Ok(GeneratedField::PreferIpv6),
                            "loopbackPort" | "loopback_port" => Ok(GeneratedField::LoopbackPort),
                            "instancePort" | "instance_port" => Ok(GeneratedField::InstancePort),
                            "unixPath" | "unix_path" => Ok(GeneratedField::UnixPath),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = AppEndpoint;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.AppEndpoint")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<AppEndpoint, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut prefer_ipv6__ = None;
                let mut kind__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::PreferIpv6 => {
                            if prefer_ipv6__.is_some() {
                                return Err(serde::de::Error::duplicate_field("preferIpv6"));
                            }
                            prefer_ipv6__ = Some(map_.next_value()?);
                        }
                        GeneratedField::LoopbackPort => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("loopbackPort"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<::pbjson::private::NumberDeserialize<_>>>()?.map(|x| app_endpoint::Kind::LoopbackPort(x.0));
                        }
                        GeneratedField::InstancePort => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("instancePort"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<::pbjson::private::NumberDeserialize<_>>>()?.map(|x| app_endpoint::Kind::InstancePort(x.0));
                        }
                        GeneratedField::UnixPath => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("unixPath"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<_>>()?.map(app_endpoint::Kind::UnixPath);
                        }
                    }
                }
                Ok(AppEndpoint {
                    prefer_ipv6: prefer_ipv6__.unwrap_or_default(),
                    kind: kind__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.AppEndpoint", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for AuthorizationAction {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "AUTHORIZATION_ACTION_UNSPECIFIED",
            Self::Allow => "AUTHORIZATION_ACTION_ALLOW",
            Self::Deny => "AUTHORIZATION_ACTION_DENY",
            Self::Audit => "AUTHORIZATION_ACTION_AUDIT",
            Self::Custom => "AUTHORIZATION_ACTION_CUSTOM",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for AuthorizationAction {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "AUTHORIZATION_ACTION_UNSPECIFIED",
            "AUTHORIZATION_ACTION_ALLOW",
            "AUTHORIZATION_ACTION_DENY",
            "AUTHORIZATION_ACTION_AUDIT",
            "AUTHORIZATION_ACTION_CUSTOM",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = AuthorizationAction;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "AUTHORIZATION_ACTION_UNSPECIFIED" => Ok(AuthorizationAction::Unspecified),
                    "AUTHORIZATION_ACTION_ALLOW" => Ok(AuthorizationAction::Allow),
                    "AUTHORIZATION_ACTION_DENY" => Ok(AuthorizationAction::Deny),
                    "AUTHORIZATION_ACTION_AUDIT" => Ok(AuthorizationAction::Audit),
                    "AUTHORIZATION_ACTION_CUSTOM" => Ok(AuthorizationAction::Custom),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for AuthorizationAttribute {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "AUTHORIZATION_ATTRIBUTE_UNSPECIFIED",
            Self::RequestHeader => "AUTHORIZATION_ATTRIBUTE_REQUEST_HEADER",
            Self::SourceIp => "AUTHORIZATION_ATTRIBUTE_SOURCE_IP",
            Self::SourceNamespace => "AUTHORIZATION_ATTRIBUTE_SOURCE_NAMESPACE",
            Self::SourcePrincipal => "AUTHORIZATION_ATTRIBUTE_SOURCE_PRINCIPAL",
            Self::DestinationIp => "AUTHORIZATION_ATTRIBUTE_DESTINATION_IP",
            Self::DestinationPort => "AUTHORIZATION_ATTRIBUTE_DESTINATION_PORT",
            Self::ConnectionSni => "AUTHORIZATION_ATTRIBUTE_CONNECTION_SNI",
            Self::RemoteIp => "AUTHORIZATION_ATTRIBUTE_REMOTE_IP",
            Self::SourceTrustDomain => "AUTHORIZATION_ATTRIBUTE_SOURCE_TRUST_DOMAIN",
            Self::SourceServiceAccount => "AUTHORIZATION_ATTRIBUTE_SOURCE_SERVICE_ACCOUNT",
            Self::RequestPrincipal => "AUTHORIZATION_ATTRIBUTE_REQUEST_PRINCIPAL",
            Self::RequestAudiences => "AUTHORIZATION_ATTRIBUTE_REQUEST_AUDIENCES",
            Self::RequestPresenter => "AUTHORIZATION_ATTRIBUTE_REQUEST_PRESENTER",
            Self::RequestClaim => "AUTHORIZATION_ATTRIBUTE_REQUEST_CLAIM",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for AuthorizationAttribute {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "AUTHORIZATION_ATTRIBUTE_UNSPECIFIED",
            "AUTHORIZATION_ATTRIBUTE_REQUEST_HEADER",
            "AUTHORIZATION_ATTRIBUTE_SOURCE_IP",
            "AUTHORIZATION_ATTRIBUTE_SOURCE_NAMESPACE",
            "AUTHORIZATION_ATTRIBUTE_SOURCE_PRINCIPAL",
            "AUTHORIZATION_ATTRIBUTE_DESTINATION_IP",
            "AUTHORIZATION_ATTRIBUTE_DESTINATION_PORT",
            "AUTHORIZATION_ATTRIBUTE_CONNECTION_SNI",
            "AUTHORIZATION_ATTRIBUTE_REMOTE_IP",
            "AUTHORIZATION_ATTRIBUTE_SOURCE_TRUST_DOMAIN",
            "AUTHORIZATION_ATTRIBUTE_SOURCE_SERVICE_ACCOUNT",
            "AUTHORIZATION_ATTRIBUTE_REQUEST_PRINCIPAL",
            "AUTHORIZATION_ATTRIBUTE_REQUEST_AUDIENCES",
            "AUTHORIZATION_ATTRIBUTE_REQUEST_PRESENTER",
            "AUTHORIZATION_ATTRIBUTE_REQUEST_CLAIM",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = AuthorizationAttribute;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "AUTHORIZATION_ATTRIBUTE_UNSPECIFIED" => Ok(AuthorizationAttribute::Unspecified),
                    "AUTHORIZATION_ATTRIBUTE_REQUEST_HEADER" => Ok(AuthorizationAttribute::RequestHeader),
                    "AUTHORIZATION_ATTRIBUTE_SOURCE_IP" => Ok(AuthorizationAttribute::SourceIp),
                    "AUTHORIZATION_ATTRIBUTE_SOURCE_NAMESPACE" => Ok(AuthorizationAttribute::SourceNamespace),
                    "AUTHORIZATION_ATTRIBUTE_SOURCE_PRINCIPAL" => Ok(AuthorizationAttribute::SourcePrincipal),
                    "AUTHORIZATION_ATTRIBUTE_DESTINATION_IP" => Ok(AuthorizationAttribute::DestinationIp),
                    "AUTHORIZATION_ATTRIBUTE_DESTINATION_PORT" => Ok(AuthorizationAttribute::DestinationPort),
                    "AUTHORIZATION_ATTRIBUTE_CONNECTION_SNI" => Ok(AuthorizationAttribute::ConnectionSni),
                    "AUTHORIZATION_ATTRIBUTE_REMOTE_IP" => Ok(AuthorizationAttribute::RemoteIp),
                    "AUTHORIZATION_ATTRIBUTE_SOURCE_TRUST_DOMAIN" => Ok(AuthorizationAttribute::SourceTrustDomain),
                    "AUTHORIZATION_ATTRIBUTE_SOURCE_SERVICE_ACCOUNT" => Ok(AuthorizationAttribute::SourceServiceAccount),
                    "AUTHORIZATION_ATTRIBUTE_REQUEST_PRINCIPAL" => Ok(AuthorizationAttribute::RequestPrincipal),
                    "AUTHORIZATION_ATTRIBUTE_REQUEST_AUDIENCES" => Ok(AuthorizationAttribute::RequestAudiences),
                    "AUTHORIZATION_ATTRIBUTE_REQUEST_PRESENTER" => Ok(AuthorizationAttribute::RequestPresenter),
                    "AUTHORIZATION_ATTRIBUTE_REQUEST_CLAIM" => Ok(AuthorizationAttribute::RequestClaim),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for AuthorizationCondition {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.attribute != 0 {
            len += 1;
        }
        if !self.header.is_empty() {
            len += 1;
        }
        if !self.values.is_empty() {
            len += 1;
        }
        if !self.not_values.is_empty() {
            len += 1;
        }
        if !self.claim.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.AuthorizationCondition", len)?;
        if self.attribute != 0 {
            let v = AuthorizationAttribute::try_from(self.attribute)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.attribute)))?;
            struct_ser.serialize_field("attribute", &v)?;
        }
        if !self.header.is_empty() {
            struct_ser.serialize_field("header", &self.header)?;
        }
        if !self.values.is_empty() {
            struct_ser.serialize_field("values", &self.values)?;
        }
        if !self.not_values.is_empty() {
            struct_ser.serialize_field("not_values", &self.not_values)?;
        }
        if !self.claim.is_empty() {
            struct_ser.serialize_field("claim", &self.claim)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for AuthorizationCondition {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "attribute",
            "header",
            "values",
            "not_values",
            "notValues",
            "claim",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Attribute,
            Header,
            Values,
            NotValues,
            Claim,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "attribute" => Ok(GeneratedField::Attribute),
                            "header" => Ok(GeneratedField::Header),
                            "values" => Ok(GeneratedField::Values),
                            "notValues" | "not_values" => Ok(GeneratedField::NotValues),
                            "claim" => Ok(GeneratedField::Claim),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = AuthorizationCondition;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.AuthorizationCondition")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<AuthorizationCondition, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut attribute__ = None;
                let mut header__ = None;
                let mut values__ = None;
                let mut not_values__ = None;
                let mut claim__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Attribute => {
                            if attribute__.is_some() {
                                return Err(serde::de::Error::duplicate_field("attribute"));
                            }
                            attribute__ = Some(map_.next_value::<AuthorizationAttribute>()? as i32);
                        }
                        GeneratedField::Header => {
                            if header__.is_some() {
                                return Err(serde::de::Error::duplicate_field("header"));
                            }
                            header__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Values => {
                            if values__.is_some() {
                                return Err(serde::de::Error::duplicate_field("values"));
                            }
                            values__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotValues => {
                            if not_values__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notValues"));
                            }
                            not_values__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Claim => {
                            if claim__.is_some() {
                                return Err(serde::de::Error::duplicate_field("claim"));
                            }
                            claim__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(AuthorizationCondition {
                    attribute: attribute__.unwrap_or_default(),
                    header: header__.unwrap_or_default(),
                    values: values__.unwrap_or_default(),
                    not_values: not_values__.unwrap_or_default(),
                    claim: claim__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.AuthorizationCondition", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for AuthorizationOperation {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.hosts.is_empty() {
            len += 1;
        }
        if !self.not_hosts.is_empty() {
            len += 1;
        }
        if !self.ports.is_empty() {
            len += 1;
        }
        if !self.not_ports.is_empty() {
            len += 1;
        }
        if !self.methods.is_empty() {
            len += 1;
        }
        if !self.not_methods.is_empty() {
            len += 1;
        }
        if !self.paths.is_empty() {
            len += 1;
        }
        if !self.not_paths.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.AuthorizationOperation", len)?;
        if !self.hosts.is_empty() {
            struct_ser.serialize_field("hosts", &self.hosts)?;
        }
        if !self.not_hosts.is_empty() {
            struct_ser.serialize_field("not_hosts", &self.not_hosts)?;
        }
        if !self.ports.is_empty() {
            struct_ser.serialize_field("ports", &self.ports)?;
        }
        if !self.not_ports.is_empty() {
            struct_ser.serialize_field("not_ports", &self.not_ports)?;
        }
        if !self.methods.is_empty() {
            struct_ser.serialize_field("methods", &self.methods)?;
        }
        if !self.not_methods.is_empty() {
            struct_ser.serialize_field("not_methods", &self.not_methods)?;
        }
        if !self.paths.is_empty() {
            struct_ser.serialize_field("paths", &self.paths)?;
        }
        if !self.not_paths.is_empty() {
            struct_ser.serialize_field("not_paths", &self.not_paths)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for AuthorizationOperation {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "hosts",
            "not_hosts",
            "notHosts",
            "ports",
            "not_ports",
            "notPorts",
            "methods",
            "not_methods",
            "notMethods",
            "paths",
            "not_paths",
            "notPaths",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Hosts,
            NotHosts,
            Ports,
            NotPorts,
            Methods,
            NotMethods,
            Paths,
            NotPaths,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "hosts" => Ok(GeneratedField::Hosts),
                            "notHosts" | "not_hosts" => Ok(GeneratedField::NotHosts),
                            "ports" => Ok(GeneratedField::Ports),
                            "notPorts" | "not_ports" => Ok(GeneratedField::NotPorts),
                            "methods" => Ok(GeneratedField::Methods),
                            "notMethods" | "not_methods" => Ok(GeneratedField::NotMethods),
                            "paths" => Ok(GeneratedField::Paths),
                            "notPaths" | "not_paths" => Ok(GeneratedField::NotPaths),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = AuthorizationOperation;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.AuthorizationOperation")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<AuthorizationOperation, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut hosts__ = None;
                let mut not_hosts__ = None;
                let mut ports__ = None;
                let mut not_ports__ = None;
                let mut methods__ = None;
                let mut not_methods__ = None;
                let mut paths__ = None;
                let mut not_paths__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Hosts => {
                            if hosts__.is_some() {
                                return Err(serde::de::Error::duplicate_field("hosts"));
                            }
                            hosts__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotHosts => {
                            if not_hosts__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notHosts"));
                            }
                            not_hosts__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Ports => {
                            if ports__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ports"));
                            }
                            ports__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::NumberDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::NotPorts => {
                            if not_ports__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notPorts"));
                            }
                            not_ports__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::NumberDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::Methods => {
                            if methods__.is_some() {
                                return Err(serde::de::Error::duplicate_field("methods"));
                            }
                            methods__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotMethods => {
                            if not_methods__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notMethods"));
                            }
                            not_methods__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Paths => {
                            if paths__.is_some() {
                                return Err(serde::de::Error::duplicate_field("paths"));
                            }
                            paths__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotPaths => {
                            if not_paths__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notPaths"));
                            }
                            not_paths__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(AuthorizationOperation {
                    hosts: hosts__.unwrap_or_default(),
                    not_hosts: not_hosts__.unwrap_or_default(),
                    ports: ports__.unwrap_or_default(),
                    not_ports: not_ports__.unwrap_or_default(),
                    methods: methods__.unwrap_or_default(),
                    not_methods: not_methods__.unwrap_or_default(),
                    paths: paths__.unwrap_or_default(),
                    not_paths: not_paths__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.AuthorizationOperation", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for AuthorizationPolicy {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if self.action != 0 {
            len += 1;
        }
        if !self.rules.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        if self.dry_run {
            len += 1;
        }
        if !self.authorizer.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.AuthorizationPolicy", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if self.action != 0 {
            let v = AuthorizationAction::try_from(self.action)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.action)))?;
            struct_ser.serialize_field("action", &v)?;
        }
        if !self.rules.is_empty() {
            struct_ser.serialize_field("rules", &self.rules)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        if self.dry_run {
            struct_ser.serialize_field("dry_run", &self.dry_run)?;
        }
        if !self.authorizer.is_empty() {
            struct_ser.serialize_field("authorizer", &self.authorizer)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for AuthorizationPolicy {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "action",
            "rules",
            "origin",
            "dry_run",
            "dryRun",
            "authorizer",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Action,
            Rules,
            Origin,
            DryRun,
            Authorizer,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "action" => Ok(GeneratedField::Action),
                            "rules" => Ok(GeneratedField::Rules),
                            "origin" => Ok(GeneratedField::Origin),
                            "dryRun" | "dry_run" => Ok(GeneratedField::DryRun),
                            "authorizer" => Ok(GeneratedField::Authorizer),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = AuthorizationPolicy;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.AuthorizationPolicy")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<AuthorizationPolicy, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut action__ = None;
                let mut rules__ = None;
                let mut origin__ = None;
                let mut dry_run__ = None;
                let mut authorizer__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Action => {
                            if action__.is_some() {
                                return Err(serde::de::Error::duplicate_field("action"));
                            }
                            action__ = Some(map_.next_value::<AuthorizationAction>()? as i32);
                        }
                        GeneratedField::Rules => {
                            if rules__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rules"));
                            }
                            rules__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                        GeneratedField::DryRun => {
                            if dry_run__.is_some() {
                                return Err(serde::de::Error::duplicate_field("dryRun"));
                            }
                            dry_run__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Authorizer => {
                            if authorizer__.is_some() {
                                return Err(serde::de::Error::duplicate_field("authorizer"));
                            }
                            authorizer__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(AuthorizationPolicy {
                    name: name__.unwrap_or_default(),
                    action: action__.unwrap_or_default(),
                    rules: rules__.unwrap_or_default(),
                    origin: origin__,
                    dry_run: dry_run__.unwrap_or_default(),
                    authorizer: authorizer__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.AuthorizationPolicy", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for AuthorizationRule {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.from.is_empty() {
            len += 1;
        }
        if !self.to.is_empty() {
            len += 1;
        }
        if !self.when.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.AuthorizationRule", len)?;
        if !self.from.is_empty() {
            struct_ser.serialize_field("from", &self.from)?;
        }
        if !self.to.is_empty() {
            struct_ser.serialize_field("to", &self.to)?;
        }
        if !self.when.is_empty() {
            struct_ser.serialize_field("when", &self.when)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for AuthorizationRule {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "from",
            "to",
            "when",
            "origin",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            From,
            To,
            When,
            Origin,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "from" => Ok(GeneratedField::From),
                            "to" => Ok(GeneratedField::To),
                            "when" => Ok(GeneratedField::When),
                            "origin" => Ok(GeneratedField::Origin),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = AuthorizationRule;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.AuthorizationRule")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<AuthorizationRule, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut from__ = None;
                let mut to__ = None;
                let mut when__ = None;
                let mut origin__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::From => {
                            if from__.is_some() {
                                return Err(serde::de::Error::duplicate_field("from"));
                            }
                            from__ = Some(map_.next_value()?);
                        }
                        GeneratedField::To => {
                            if to__.is_some() {
                                return Err(serde::de::Error::duplicate_field("to"));
                            }
                            to__ = Some(map_.next_value()?);
                        }
                        GeneratedField::When => {
                            if when__.is_some() {
                                return Err(serde::de::Error::duplicate_field("when"));
                            }
                            when__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                    }
                }
                Ok(AuthorizationRule {
                    from: from__.unwrap_or_default(),
                    to: to__.unwrap_or_default(),
                    when: when__.unwrap_or_default(),
                    origin: origin__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.AuthorizationRule", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for AuthorizationSource {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.principals.is_empty() {
            len += 1;
        }
        if !self.not_principals.is_empty() {
            len += 1;
        }
        if !self.namespaces.is_empty() {
            len += 1;
        }
        if !self.not_namespaces.is_empty() {
            len += 1;
        }
        if !self.ip_blocks.is_empty() {
            len += 1;
        }
        if !self.not_ip_blocks.is_empty() {
            len += 1;
        }
        if !self.request_principals.is_empty() {
            len += 1;
        }
        if !self.not_request_principals.is_empty() {
            len += 1;
        }
        if !self.remote_ip_blocks.is_empty() {
            len += 1;
        }
        if !self.not_remote_ip_blocks.is_empty() {
            len += 1;
        }
        if !self.trust_domains.is_empty() {
            len += 1;
        }
        if !self.not_trust_domains.is_empty() {
            len += 1;
        }
        if !self.service_accounts.is_empty() {
            len += 1;
        }
        if !self.not_service_accounts.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.AuthorizationSource", len)?;
        if !self.principals.is_empty() {
            struct_ser.serialize_field("principals", &self.principals)?;
        }
        if !self.not_principals.is_empty() {
            struct_ser.serialize_field("not_principals", &self.not_principals)?;
        }
        if !self.namespaces.is_empty() {
            struct_ser.serialize_field("namespaces", &self.namespaces)?;
        }
        if !self.not_namespaces.is_empty() {
            struct_ser.serialize_field("not_namespaces", &self.not_namespaces)?;
        }
        if !self.ip_blocks.is_empty() {
            struct_ser.serialize_field("ip_blocks", &self.ip_blocks)?;
        }
        if !self.not_ip_blocks.is_empty() {
            struct_ser.serialize_field("not_ip_blocks", &self.not_ip_blocks)?;
        }
        if !self.request_principals.is_empty() {
            struct_ser.serialize_field("request_principals", &self.request_principals)?;
        }
        if !self.not_request_principals.is_empty() {
            struct_ser.serialize_field("not_request_principals", &self.not_request_principals)?;
        }
        if !self.remote_ip_blocks.is_empty() {
            struct_ser.serialize_field("remote_ip_blocks", &self.remote_ip_blocks)?;
        }
        if !self.not_remote_ip_blocks.is_empty() {
            struct_ser.serialize_field("not_remote_ip_blocks", &self.not_remote_ip_blocks)?;
        }
        if !self.trust_domains.is_empty() {
            struct_ser.serialize_field("trust_domains", &self.trust_domains)?;
        }
        if !self.not_trust_domains.is_empty() {
            struct_ser.serialize_field("not_trust_domains", &self.not_trust_domains)?;
        }
        if !self.service_accounts.is_empty() {
            struct_ser.serialize_field("service_accounts", &self.service_accounts)?;
        }
        if !self.not_service_accounts.is_empty() {
            struct_ser.serialize_field("not_service_accounts", &self.not_service_accounts)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for AuthorizationSource {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "principals",
            "not_principals",
            "notPrincipals",
            "namespaces",
            "not_namespaces",
            "notNamespaces",
            "ip_blocks",
            "ipBlocks",
            "not_ip_blocks",
            "notIpBlocks",
            "request_principals",
            "requestPrincipals",
            "not_request_principals",
            "notRequestPrincipals",
            "remote_ip_blocks",
            "remoteIpBlocks",
            "not_remote_ip_blocks",
            "notRemoteIpBlocks",
            "trust_domains",
            "trustDomains",
            "not_trust_domains",
            "notTrustDomains",
            "service_accounts",
            "serviceAccounts",
            "not_service_accounts",
            "notServiceAccounts",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Principals,
            NotPrincipals,
            Namespaces,
            NotNamespaces,
            IpBlocks,
            NotIpBlocks,
            RequestPrincipals,
            NotRequestPrincipals,
            RemoteIpBlocks,
            NotRemoteIpBlocks,
            TrustDomains,
            NotTrustDomains,
            ServiceAccounts,
            NotServiceAccounts,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "principals" => Ok(GeneratedField::Principals),
                            "notPrincipals" | "not_principals" => Ok(GeneratedField::NotPrincipals),
                            "namespaces" => Ok(GeneratedField::Namespaces),
                            "notNamespaces" | "not_namespaces" => Ok(GeneratedField::NotNamespaces),
                            "ipBlocks" | "ip_blocks" => Ok(GeneratedField::IpBlocks),
                            "notIpBlocks" | "not_ip_blocks" => Ok(GeneratedField::NotIpBlocks),
                            "requestPrincipals" | "request_principals" => Ok(GeneratedField::RequestPrincipals),
                            "notRequestPrincipals" | "not_request_principals" => Ok(GeneratedField::NotRequestPrincipals),
                            "remoteIpBlocks" | "remote_ip_blocks" => Ok(GeneratedField::RemoteIpBlocks),
                            "notRemoteIpBlocks" | "not_remote_ip_blocks" => Ok(GeneratedField::NotRemoteIpBlocks),
                            "trustDomains" | "trust_domains" => Ok(GeneratedField::TrustDomains),
                            "notTrustDomains" | "not_trust_domains" => Ok(GeneratedField::NotTrustDomains),
                            "serviceAccounts" | "service_accounts" => Ok(GeneratedField::ServiceAccounts),
                            "notServiceAccounts" | "not_service_accounts" => Ok(GeneratedField::NotServiceAccounts),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = AuthorizationSource;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.AuthorizationSource")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<AuthorizationSource, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut principals__ = None;
                let mut not_principals__ = None;
                let mut namespaces__ = None;
                let mut not_namespaces__ = None;
                let mut ip_blocks__ = None;
                let mut not_ip_blocks__ = None;
                let mut request_principals__ = None;
                let mut not_request_principals__ = None;
                let mut remote_ip_blocks__ = None;
                let mut not_remote_ip_blocks__ = None;
                let mut trust_domains__ = None;
                let mut not_trust_domains__ = None;
                let mut service_accounts__ = None;
                let mut not_service_accounts__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Principals => {
                            if principals__.is_some() {
                                return Err(serde::de::Error::duplicate_field("principals"));
                            }
                            principals__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotPrincipals => {
                            if not_principals__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notPrincipals"));
                            }
                            not_principals__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Namespaces => {
                            if namespaces__.is_some() {
                                return Err(serde::de::Error::duplicate_field("namespaces"));
                            }
                            namespaces__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotNamespaces => {
                            if not_namespaces__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notNamespaces"));
                            }
                            not_namespaces__ = Some(map_.next_value()?);
                        }
                        GeneratedField::IpBlocks => {
                            if ip_blocks__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ipBlocks"));
                            }
                            ip_blocks__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotIpBlocks => {
                            if not_ip_blocks__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notIpBlocks"));
                            }
                            not_ip_blocks__ = Some(map_.next_value()?);
                        }
                        GeneratedField::RequestPrincipals => {
                            if request_principals__.is_some() {
                                return Err(serde::de::Error::duplicate_field("requestPrincipals"));
                            }
                            request_principals__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotRequestPrincipals => {
                            if not_request_principals__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notRequestPrincipals"));
                            }
                            not_request_principals__ = Some(map_.next_value()?);
                        }
                        GeneratedField::RemoteIpBlocks => {
                            if remote_ip_blocks__.is_some() {
                                return Err(serde::de::Error::duplicate_field("remoteIpBlocks"));
                            }
                            remote_ip_blocks__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotRemoteIpBlocks => {
                            if not_remote_ip_blocks__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notRemoteIpBlocks"));
                            }
                            not_remote_ip_blocks__ = Some(map_.next_value()?);
                        }
                        GeneratedField::TrustDomains => {
                            if trust_domains__.is_some() {
                                return Err(serde::de::Error::duplicate_field("trustDomains"));
                            }
                            trust_domains__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotTrustDomains => {
                            if not_trust_domains__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notTrustDomains"));
                            }
                            not_trust_domains__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ServiceAccounts => {
                            if service_accounts__.is_some() {
                                return Err(serde::de::Error::duplicate_field("serviceAccounts"));
                            }
                            service_accounts__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotServiceAccounts => {
                            if not_service_accounts__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notServiceAccounts"));
                            }
                            not_service_accounts__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(AuthorizationSource {
                    principals: principals__.unwrap_or_default(),
                    not_principals: not_principals__.unwrap_or_default(),
                    namespaces: namespaces__.unwrap_or_default(),
                    not_namespaces: not_namespaces__.unwrap_or_default(),
                    ip_blocks: ip_blocks__.unwrap_or_default(),
                    not_ip_blocks: not_ip_blocks__.unwrap_or_default(),
                    request_principals: request_principals__.unwrap_or_default(),
                    not_request_principals: not_request_principals__.unwrap_or_default(),
                    remote_ip_blocks: remote_ip_blocks__.unwrap_or_default(),
                    not_remote_ip_blocks: not_remote_ip_blocks__.unwrap_or_default(),
                    trust_domains: trust_domains__.unwrap_or_default(),
                    not_trust_domains: not_trust_domains__.unwrap_or_default(),
                    service_accounts: service_accounts__.unwrap_or_default(),
                    not_service_accounts: not_service_accounts__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.AuthorizationSource", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for AuthorizerBody {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.max_bytes != 0 {
            len += 1;
        }
        if self.allow_partial {
            len += 1;
        }
        if self.as_bytes {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.AuthorizerBody", len)?;
        if self.max_bytes != 0 {
            struct_ser.serialize_field("max_bytes", &self.max_bytes)?;
        }
        if self.allow_partial {
            struct_ser.serialize_field("allow_partial", &self.allow_partial)?;
        }
        if self.as_bytes {
            struct_ser.serialize_field("as_bytes", &self.as_bytes)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for AuthorizerBody {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "max_bytes",
            "maxBytes",
            "allow_partial",
            "allowPartial",
            "as_bytes",
            "asBytes",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            MaxBytes,
            AllowPartial,
            AsBytes,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "maxBytes" | "max_bytes" => Ok(GeneratedField::MaxBytes),
                            "allowPartial" | "allow_partial" => Ok(GeneratedField::AllowPartial),
                            "asBytes" | "as_bytes" => Ok(GeneratedField::AsBytes),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = AuthorizerBody;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.AuthorizerBody")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<AuthorizerBody, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut max_bytes__ = None;
                let mut allow_partial__ = None;
                let mut as_bytes__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::MaxBytes => {
                            if max_bytes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxBytes"));
                            }
                            max_bytes__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::AllowPartial => {
                            if allow_partial__.is_some() {
                                return Err(serde::de::Error::duplicate_field("allowPartial"));
                            }
                            allow_partial__ = Some(map_.next_value()?);
                        }
                        GeneratedField::AsBytes => {
                            if as_bytes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("asBytes"));
                            }
                            as_bytes__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(AuthorizerBody {
                    max_bytes: max_bytes__.unwrap_or_default(),
                    allow_partial: allow_partial__.unwrap_or_default(),
                    as_bytes: as_bytes__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.AuthorizerBody", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Backing {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.service.is_empty() {
            len += 1;
        }
        if !self.ports.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Backing", len)?;
        if !self.service.is_empty() {
            struct_ser.serialize_field("service", &self.service)?;
        }
        if !self.ports.is_empty() {
            struct_ser.serialize_field("ports", &self.ports)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Backing {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "service",
            "ports",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Service,
            Ports,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "service" => Ok(GeneratedField::Service),
                            "ports" => Ok(GeneratedField::Ports),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Backing;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Backing")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Backing, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut service__ = None;
                let mut ports__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Service => {
                            if service__.is_some() {
                                return Err(serde::de::Error::duplicate_field("service"));
                            }
                            service__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Ports => {
                            if ports__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ports"));
                            }
                            ports__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Backing {
                    service: service__.unwrap_or_default(),
                    ports: ports__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Backing", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for BackingPort {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.service_port != 0 {
            len += 1;
        }
        if self.target_port != 0 {
            len += 1;
        }
        if self.mutual_tls {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.BackingPort", len)?;
        if self.service_port != 0 {
            struct_ser.serialize_field("service_port", &self.service_port)?;
        }
        if self.target_port != 0 {
            struct_ser.serialize_field("target_port", &self.target_port)?;
        }
        if self.mutual_tls {
            struct_ser.serialize_field("mutual_tls", &self.mutual_tls)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for BackingPort {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "service_port",
            "servicePort",
            "target_port",
            "targetPort",
            "mutual_tls",
            "mutualTls",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            ServicePort,
            TargetPort,
            MutualTls,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "servicePort" | "service_port" => Ok(GeneratedField::ServicePort),
                            "targetPort" | "target_port" => Ok(GeneratedField::TargetPort),
                            "mutualTls" | "mutual_tls" => Ok(GeneratedField::MutualTls),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = BackingPort;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.BackingPort")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<BackingPort, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut service_port__ = None;
                let mut target_port__ = None;
                let mut mutual_tls__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::ServicePort => {
                            if service_port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("servicePort"));
                            }
                            service_port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::TargetPort => {
                            if target_port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("targetPort"));
                            }
                            target_port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MutualTls => {
                            if mutual_tls__.is_some() {
                                return Err(serde::de::Error::duplicate_field("mutualTls"));
                            }
                            mutual_tls__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(BackingPort {
                    service_port: service_port__.unwrap_or_default(),
                    target_port: target_port__.unwrap_or_default(),
                    mutual_tls: mutual_tls__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.BackingPort", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ClientTls {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.mode != 0 {
            len += 1;
        }
        if !self.sni.is_empty() {
            len += 1;
        }
        if !self.subject_alt_names.is_empty() {
            len += 1;
        }
        if !self.client_certificate.is_empty() {
            len += 1;
        }
        if !self.private_key.is_empty() {
            len += 1;
        }
        if !self.ca_certificates.is_empty() {
            len += 1;
        }
        if self.insecure_skip_verify {
            len += 1;
        }
        if !self.credential.is_empty() {
            len += 1;
        }
        if !self.ca_crl.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.ClientTls", len)?;
        if self.mode != 0 {
            let v = ClientTlsMode::try_from(self.mode)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.mode)))?;
            struct_ser.serialize_field("mode", &v)?;
        }
        if !self.sni.is_empty() {
            struct_ser.serialize_field("sni", &self.sni)?;
        }
        if !self.subject_alt_names.is_empty() {
            struct_ser.serialize_field("subject_alt_names", &self.subject_alt_names)?;
        }
        if !self.client_certificate.is_empty() {
            struct_ser.serialize_field("client_certificate", &self.client_certificate)?;
        }
        if !self.private_key.is_empty() {
            struct_ser.serialize_field("private_key", &self.private_key)?;
        }
        if !self.ca_certificates.is_empty() {
            struct_ser.serialize_field("ca_certificates", &self.ca_certificates)?;
        }
        if self.insecure_skip_verify {
            struct_ser.serialize_field("insecure_skip_verify", &self.insecure_skip_verify)?;
        }
        if !self.credential.is_empty() {
            struct_ser.serialize_field("credential", &self.credential)?;
        }
        if !self.ca_crl.is_empty() {
            struct_ser.serialize_field("ca_crl", &self.ca_crl)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ClientTls {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "mode",
            "sni",
            "subject_alt_names",
            "subjectAltNames",
            "client_certificate",
            "clientCertificate",
            "private_key",
            "privateKey",
            "ca_certificates",
            "caCertificates",
            "insecure_skip_verify",
            "insecureSkipVerify",
            "credential",
            "ca_crl",
            "caCrl",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Mode,
            Sni,
            SubjectAltNames,
            ClientCertificate,
            PrivateKey,
            CaCertificates,
            InsecureSkipVerify,
            Credential,
            CaCrl,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "mode" => Ok(GeneratedField::Mode),
                            "sni" => Ok(GeneratedField::Sni),
                            "subjectAltNames" | "subject_alt_names" => Ok(GeneratedField::SubjectAltNames),
                            "clientCertificate" | "client_certificate" => Ok(GeneratedField::ClientCertificate),
                            "privateKey" | "private_key" => Ok(GeneratedField::PrivateKey),
                            "caCertificates" | "ca_certificates" => Ok(GeneratedField::CaCertificates),
                            "insecureSkipVerify" | "insecure_skip_verify" => Ok(GeneratedField::InsecureSkipVerify),
                            "credential" => Ok(GeneratedField::Credential),
                            "caCrl" | "ca_crl" => Ok(GeneratedField::CaCrl),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ClientTls;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.ClientTls")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ClientTls, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut mode__ = None;
                let mut sni__ = None;
                let mut subject_alt_names__ = None;
                let mut client_certificate__ = None;
                let mut private_key__ = None;
                let mut ca_certificates__ = None;
                let mut insecure_skip_verify__ = None;
                let mut credential__ = None;
                let mut ca_crl__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Mode => {
                            if mode__.is_some() {
                                return Err(serde::de::Error::duplicate_field("mode"));
                            }
                            mode__ = Some(map_.next_value::<ClientTlsMode>()? as i32);
                        }
                        GeneratedField::Sni => {
                            if sni__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sni"));
                            }
                            sni__ = Some(map_.next_value()?);
                        }
                        GeneratedField::SubjectAltNames => {
                            if subject_alt_names__.is_some() {
                                return Err(serde::de::Error::duplicate_field("subjectAltNames"));
                            }
                            subject_alt_names__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ClientCertificate => {
                            if client_certificate__.is_some() {
                                return Err(serde::de::Error::duplicate_field("clientCertificate"));
                            }
                            client_certificate__ = Some(map_.next_value()?);
                        }
                        GeneratedField::PrivateKey => {
                            if private_key__.is_some() {
                                return Err(serde::de::Error::duplicate_field("privateKey"));
                            }
                            private_key__ = Some(map_.next_value()?);
                        }
                        GeneratedField::CaCertificates => {
                            if ca_certificates__.is_some() {
                                return Err(serde::de::Error::duplicate_field("caCertificates"));
                            }
                            ca_certificates__ = Some(map_.next_value()?);
                        }
                        GeneratedField::InsecureSkipVerify => {
                            if insecure_skip_verify__.is_some() {
                                return Err(serde::de::Error::duplicate_field("insecureSkipVerify"));
                            }
                            insecure_skip_verify__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Credential => {
                            if credential__.is_some() {
                                return Err(serde::de::Error::duplicate_field("credential"));
                            }
                            credential__ = Some(map_.next_value()?);
                        }
                        GeneratedField::CaCrl => {
                            if ca_crl__.is_some() {
                                return Err(serde::de::Error::duplicate_field("caCrl"));
                            }
                            ca_crl__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(ClientTls {
                    mode: mode__.unwrap_or_default(),
                    sni: sni__.unwrap_or_default(),
                    subject_alt_names: subject_alt_names__.unwrap_or_default(),
                    client_certificate: client_certificate__.unwrap_or_default(),
                    private_key: private_key__.unwrap_or_default(),
                    ca_certificates: ca_certificates__.unwrap_or_default(),
                    insecure_skip_verify: insecure_skip_verify__.unwrap_or_default(),
                    credential: credential__.unwrap_or_default(),
                    ca_crl: ca_crl__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.ClientTls", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ClientTlsMode {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "CLIENT_TLS_MODE_UNSPECIFIED",
            Self::Auto => "CLIENT_TLS_MODE_AUTO",
            Self::Disable => "CLIENT_TLS_MODE_DISABLE",
            Self::Simple => "CLIENT_TLS_MODE_SIMPLE",
            Self::Mutual => "CLIENT_TLS_MODE_MUTUAL",
            Self::IstioMutual => "CLIENT_TLS_MODE_ISTIO_MUTUAL",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for ClientTlsMode {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "CLIENT_TLS_MODE_UNSPECIFIED",
            "CLIENT_TLS_MODE_AUTO",
            "CLIENT_TLS_MODE_DISABLE",
            "CLIENT_TLS_MODE_SIMPLE",
            "CLIENT_TLS_MODE_MUTUAL",
            "CLIENT_TLS_MODE_ISTIO_MUTUAL",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = ClientTlsMode;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "CLIENT_TLS_MODE_UNSPECIFIED" => Ok(ClientTlsMode::Unspecified),
                    "CLIENT_TLS_MODE_AUTO" => Ok(ClientTlsMode::Auto),
                    "CLIENT_TLS_MODE_DISABLE" => Ok(ClientTlsMode::Disable),
                    "CLIENT_TLS_MODE_SIMPLE" => Ok(ClientTlsMode::Simple),
                    "CLIENT_TLS_MODE_MUTUAL" => Ok(ClientTlsMode::Mutual),
                    "CLIENT_TLS_MODE_ISTIO_MUTUAL" => Ok(ClientTlsMode::IstioMutual),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for ConnectionPool {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.max_connections != 0 {
            len += 1;
        }
        if self.max_pending_requests != 0 {
            len += 1;
        }
        if self.max_requests != 0 {
            len += 1;
        }
        if self.max_retries != 0 {
            len += 1;
        }
        if self.max_requests_per_connection != 0 {
            len += 1;
        }
        if self.max_concurrent_streams != 0 {
            len += 1;
        }
        if self.max_connection_duration_ms != 0 {
            len += 1;
        }
        if self.tcp_idle_timeout_ms != 0 {
            len += 1;
        }
        if self.tcp_idle_forever {
            len += 1;
        }
        if self.http_idle_timeout_ms != 0 {
            len += 1;
        }
        if self.tcp_keepalive.is_some() {
            len += 1;
        }
        if self.http2_keepalive.is_some() {
            len += 1;
        }
        if self.upgrade_to_http2 {
            len += 1;
        }
        if self.use_client_protocol {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.ConnectionPool", len)?;
        if self.max_connections != 0 {
            struct_ser.serialize_field("max_connections", &self.max_connections)?;
        }
        if self.max_pending_requests != 0 {
            struct_ser.serialize_field("max_pending_requests", &self.max_pending_requests)?;
        }
        if self.max_requests != 0 {
            struct_ser.serialize_field("max_requests", &self.max_requests)?;
        }
        if self.max_retries != 0 {
            struct_ser.serialize_field("max_retries", &self.max_retries)?;
        }
        if self.max_requests_per_connection != 0 {
            struct_ser.serialize_field("max_requests_per_connection", &self.max_requests_per_connection)?;
        }
        if self.max_concurrent_streams != 0 {
            struct_ser.serialize_field("max_concurrent_streams", &self.max_concurrent_streams)?;
        }
        if self.max_connection_duration_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("max_connection_duration_ms", ToString::to_string(&self.max_connection_duration_ms).as_str())?;
        }
        if self.tcp_idle_timeout_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("tcp_idle_timeout_ms", ToString::to_string(&self.tcp_idle_timeout_ms).as_str())?;
        }
        if self.tcp_idle_forever {
            struct_ser.serialize_field("tcp_idle_forever", &self.tcp_idle_forever)?;
        }
        if self.http_idle_timeout_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("http_idle_timeout_ms", ToString::to_string(&self.http_idle_timeout_ms).as_str())?;
        }
        if let Some(v) = self.tcp_keepalive.as_ref() {
            struct_ser.serialize_field("tcp_keepalive", v)?;
        }
        if let Some(v) = self.http2_keepalive.as_ref() {
            struct_ser.serialize_field("http2_keepalive", v)?;
        }
        if self.upgrade_to_http2 {
            struct_ser.serialize_field("upgrade_to_http2", &self.upgrade_to_http2)?;
        }
        if self.use_client_protocol {
            struct_ser.serialize_field("use_client_protocol", &self.use_client_protocol)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ConnectionPool {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "max_connections",
            "maxConnections",
            "max_pending_requests",
            "maxPendingRequests",
            "max_requests",
            "maxRequests",
            "max_retries",
            "maxRetries",
            "max_requests_per_connection",
            "maxRequestsPerConnection",
            "max_concurrent_streams",
            "maxConcurrentStreams",
            "max_connection_duration_ms",
            "maxConnectionDurationMs",
            "tcp_idle_timeout_ms",
            "tcpIdleTimeoutMs",
            "tcp_idle_forever",
            "tcpIdleForever",
            "http_idle_timeout_ms",
            "httpIdleTimeoutMs",
            "tcp_keepalive",
            "tcpKeepalive",
            "http2_keepalive",
            "http2Keepalive",
            "upgrade_to_http2",
            "upgradeToHttp2",
            "use_client_protocol",
            "useClientProtocol",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            MaxConnections,
            MaxPendingRequests,
            MaxRequests,
            MaxRetries,
            MaxRequestsPerConnection,
            MaxConcurrentStreams,
            MaxConnectionDurationMs,
            TcpIdleTimeoutMs,
            TcpIdleForever,
            HttpIdleTimeoutMs,
            TcpKeepalive,
            Http2Keepalive,
            UpgradeToHttp2,
            UseClientProtocol,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "maxConnections" | "max_connections" => Ok(GeneratedField::MaxConnections),
                            "maxPendingRequests" | "max_pending_requests" => Ok(GeneratedField::MaxPendingRequests),
                            "maxRequests" | "max_requests" => Ok(GeneratedField::MaxRequests),
                            "maxRetries" | "max_retries" => Ok(GeneratedField::MaxRetries),
                            "maxRequestsPerConnection" | "max_requests_per_connection" => Ok(GeneratedField::MaxRequestsPerConnection),
                            "maxConcurrentStreams" | "max_concurrent_streams" => Ok(GeneratedField::MaxConcurrentStreams),
                            "maxConnectionDurationMs" | "max_connection_duration_ms" => Ok(GeneratedField::MaxConnectionDurationMs),
                            "tcpIdleTimeoutMs" | "tcp_idle_timeout_ms" => Ok(GeneratedField::TcpIdleTimeoutMs),
                            "tcpIdleForever" | "tcp_idle_forever" => Ok(GeneratedField::TcpIdleForever),
                            "httpIdleTimeoutMs" | "http_idle_timeout_ms" => Ok(GeneratedField::HttpIdleTimeoutMs),
                            "tcpKeepalive" | "tcp_keepalive" => Ok(GeneratedField::TcpKeepalive),
                            "http2Keepalive" | "http2_keepalive" => Ok(GeneratedField::Http2Keepalive),
                            "upgradeToHttp2" | "upgrade_to_http2" => Ok(GeneratedField::UpgradeToHttp2),
                            "useClientProtocol" | "use_client_protocol" => Ok(GeneratedField::UseClientProtocol),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ConnectionPool;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.ConnectionPool")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ConnectionPool, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut max_connections__ = None;
                let mut max_pending_requests__ = None;
                let mut max_requests__ = None;
                let mut max_retries__ = None;
                let mut max_requests_per_connection__ = None;
                let mut max_concurrent_streams__ = None;
                let mut max_connection_duration_ms__ = None;
                let mut tcp_idle_timeout_ms__ = None;
                let mut tcp_idle_forever__ = None;
                let mut http_idle_timeout_ms__ = None;
                let mut tcp_keepalive__ = None;
                let mut http2_keepalive__ = None;
                let mut upgrade_to_http2__ = None;
                let mut use_client_protocol__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::MaxConnections => {
                            if max_connections__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxConnections"));
                            }
                            max_connections__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxPendingRequests => {
                            if max_pending_requests__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxPendingRequests"));
                            }
                            max_pending_requests__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxRequests => {
                            if max_requests__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxRequests"));
                            }
                            max_requests__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxRetries => {
                            if max_retries__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxRetries"));
                            }
                            max_retries__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxRequestsPerConnection => {
                            if max_requests_per_connection__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxRequestsPerConnection"));
                            }
                            max_requests_per_connection__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxConcurrentStreams => {
                            if max_concurrent_streams__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxConcurrentStreams"));
                            }
                            max_concurrent_streams__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxConnectionDurationMs => {
                            if max_connection_duration_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxConnectionDurationMs"));
                            }
                            max_connection_duration_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::TcpIdleTimeoutMs => {
                            if tcp_idle_timeout_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tcpIdleTimeoutMs"));
                            }
                            tcp_idle_timeout_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::TcpIdleForever => {
                            if tcp_idle_forever__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tcpIdleForever"));
                            }
                            tcp_idle_forever__ = Some(map_.next_value()?);
                        }
                        GeneratedField::HttpIdleTimeoutMs => {
                            if http_idle_timeout_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("httpIdleTimeoutMs"));
                            }
                            http_idle_timeout_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::TcpKeepalive => {
                            if tcp_keepalive__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tcpKeepalive"));
                            }
                            tcp_keepalive__ = map_.next_value()?;
                        }
                        GeneratedField::Http2Keepalive => {
                            if http2_keepalive__.is_some() {
                                return Err(serde::de::Error::duplicate_field("http2Keepalive"));
                            }
                            http2_keepalive__ = map_.next_value()?;
                        }
                        GeneratedField::UpgradeToHttp2 => {
                            if upgrade_to_http2__.is_some() {
                                return Err(serde::de::Error::duplicate_field("upgradeToHttp2"));
                            }
                            upgrade_to_http2__ = Some(map_.next_value()?);
                        }
                        GeneratedField::UseClientProtocol => {
                            if use_client_protocol__.is_some() {
                                return Err(serde::de::Error::duplicate_field("useClientProtocol"));
                            }
                            use_client_protocol__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(ConnectionPool {
                    max_connections: max_connections__.unwrap_or_default(),
                    max_pending_requests: max_pending_requests__.unwrap_or_default(),
                    max_requests: max_requests__.unwrap_or_default(),
                    max_retries: max_retries__.unwrap_or_default(),
                    max_requests_per_connection: max_requests_per_connection__.unwrap_or_default(),
                    max_concurrent_streams: max_concurrent_streams__.unwrap_or_default(),
                    max_connection_duration_ms: max_connection_duration_ms__.unwrap_or_default(),
                    tcp_idle_timeout_ms: tcp_idle_timeout_ms__.unwrap_or_default(),
                    tcp_idle_forever: tcp_idle_forever__.unwrap_or_default(),
                    http_idle_timeout_ms: http_idle_timeout_ms__.unwrap_or_default(),
                    tcp_keepalive: tcp_keepalive__,
                    http2_keepalive: http2_keepalive__,
                    upgrade_to_http2: upgrade_to_http2__.unwrap_or_default(),
                    use_client_protocol: use_client_protocol__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.ConnectionPool", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ConsistentHash {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.maglev_table_size != 0 {
            len += 1;
        }
        if self.minimum_ring_size != 0 {
            len += 1;
        }
        if self.key.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.ConsistentHash", len)?;
        if self.maglev_table_size != 0 {
            struct_ser.serialize_field("maglev_table_size", &self.maglev_table_size)?;
        }
        if self.minimum_ring_size != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("minimum_ring_size", ToString::to_string(&self.minimum_ring_size).as_str())?;
        }
        if let Some(v) = self.key.as_ref() {
            match v {
                consistent_hash::Key::Header(v) => {
                    struct_ser.serialize_field("header", v)?;
                }
                consistent_hash::Key::Cookie(v) => {
                    struct_ser.serialize_field("cookie", v)?;
                }
                consistent_hash::Key::SourceIp(v) => {
                    struct_ser.serialize_field("source_ip", v)?;
                }
                consistent_hash::Key::Query(v) => {
                    struct_ser.serialize_field("query", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ConsistentHash {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "maglev_table_size",
            "maglevTableSize",
            "minimum_ring_size",
            "minimumRingSize",
            "header",
            "cookie",
            "source_ip",
            "sourceIp",
            "query",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            MaglevTableSize,
            MinimumRingSize,
            Header,
            Cookie,
            SourceIp,
            Query,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "maglevTableSize" | "maglev_table_size" => Ok(GeneratedField::MaglevTableSize),
                            "minimumRingSize" | "minimum_ring_size" => Ok(GeneratedField::MinimumRingSize),
                            "header" => Ok(GeneratedField::Header),
                            "cookie" => Ok(GeneratedField::Cookie),
                            "sourceIp" | "source_ip" => Ok(GeneratedField::SourceIp),
                            "query" => Ok(GeneratedField::Query),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ConsistentHash;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.ConsistentHash")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ConsistentHash, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut maglev_table_size__ = None;
                let mut minimum_ring_size__ = None;
                let mut key__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::MaglevTableSize => {
                            if maglev_table_size__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maglevTableSize"));
                            }
                            maglev_table_size__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MinimumRingSize => {
                            if minimum_ring_size__.is_some() {
                                return Err(serde::de::Error::duplicate_field("minimumRingSize"));
                            }
                            minimum_ring_size__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Header => {
                            if key__.is_some() {
                                return Err(serde::de::Error::duplicate_field("header"));
                            }
                            key__ = map_.next_value::<::std::option::Option<_>>()?.map(consistent_hash::Key::Header);
                        }
                        GeneratedField::Cookie => {
                            if key__.is_some() {
                                return Err(serde::de::Error::duplicate_field("cookie"));
                            }
                            key__ = map_.next_value::<::std::option::Option<_>>()?.map(consistent_hash::Key::Cookie)
;
                        }
                        GeneratedField::SourceIp => {
                            if key__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sourceIp"));
                            }
                            key__ = map_.next_value::<::std::option::Option<_>>()?.map(consistent_hash::Key::SourceIp);
                        }
                        GeneratedField::Query => {
                            if key__.is_some() {
                                return Err(serde::de::Error::duplicate_field("query"));
                            }
                            key__ = map_.next_value::<::std::option::Option<_>>()?.map(consistent_hash::Key::Query);
                        }
                    }
                }
                Ok(ConsistentHash {
                    maglev_table_size: maglev_table_size__.unwrap_or_default(),
                    minimum_ring_size: minimum_ring_size__.unwrap_or_default(),
                    key: key__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.ConsistentHash", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for CookieAttribute {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.value.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.CookieAttribute", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.value.is_empty() {
            struct_ser.serialize_field("value", &self.value)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for CookieAttribute {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "value",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Value,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "value" => Ok(GeneratedField::Value),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = CookieAttribute;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.CookieAttribute")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<CookieAttribute, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut value__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Value => {
                            if value__.is_some() {
                                return Err(serde::de::Error::duplicate_field("value"));
                            }
                            value__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(CookieAttribute {
                    name: name__.unwrap_or_default(),
                    value: value__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.CookieAttribute", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Cors {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.allow_origins.is_empty() {
            len += 1;
        }
        if !self.allow_methods.is_empty() {
            len += 1;
        }
        if !self.allow_headers.is_empty() {
            len += 1;
        }
        if !self.expose_headers.is_empty() {
            len += 1;
        }
        if self.max_age_seconds != 0 {
            len += 1;
        }
        if self.allow_credentials {
            len += 1;
        }
        if self.forward_unmatched_preflights {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Cors", len)?;
        if !self.allow_origins.is_empty() {
            struct_ser.serialize_field("allow_origins", &self.allow_origins)?;
        }
        if !self.allow_methods.is_empty() {
            struct_ser.serialize_field("allow_methods", &self.allow_methods)?;
        }
        if !self.allow_headers.is_empty() {
            struct_ser.serialize_field("allow_headers", &self.allow_headers)?;
        }
        if !self.expose_headers.is_empty() {
            struct_ser.serialize_field("expose_headers", &self.expose_headers)?;
        }
        if self.max_age_seconds != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("max_age_seconds", ToString::to_string(&self.max_age_seconds).as_str())?;
        }
        if self.allow_credentials {
            struct_ser.serialize_field("allow_credentials", &self.allow_credentials)?;
        }
        if self.forward_unmatched_preflights {
            struct_ser.serialize_field("forward_unmatched_preflights", &self.forward_unmatched_preflights)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Cors {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "allow_origins",
            "allowOrigins",
            "allow_methods",
            "allowMethods",
            "allow_headers",
            "allowHeaders",
            "expose_headers",
            "exposeHeaders",
            "max_age_seconds",
            "maxAgeSeconds",
            "allow_credentials",
            "allowCredentials",
            "forward_unmatched_preflights",
            "forwardUnmatchedPreflights",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            AllowOrigins,
            AllowMethods,
            AllowHeaders,
            ExposeHeaders,
            MaxAgeSeconds,
            AllowCredentials,
            ForwardUnmatchedPreflights,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "allowOrigins" | "allow_origins" => Ok(GeneratedField::AllowOrigins),
                            "allowMethods" | "allow_methods" => Ok(GeneratedField::AllowMethods),
                            "allowHeaders" | "allow_headers" => Ok(GeneratedField::AllowHeaders),
                            "exposeHeaders" | "expose_headers" => Ok(GeneratedField::ExposeHeaders),
                            "maxAgeSeconds" | "max_age_seconds" => Ok(GeneratedField::MaxAgeSeconds),
                            "allowCredentials" | "allow_credentials" => Ok(GeneratedField::AllowCredentials),
                            "forwardUnmatchedPreflights" | "forward_unmatched_preflights" => Ok(GeneratedField::ForwardUnmatchedPreflights),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Cors;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Cors")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Cors, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut allow_origins__ = None;
                let mut allow_methods__ = None;
                let mut allow_headers__ = None;
                let mut expose_headers__ = None;
                let mut max_age_seconds__ = None;
                let mut allow_credentials__ = None;
                let mut forward_unmatched_preflights__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::AllowOrigins => {
                            if allow_origins__.is_some() {
                                return Err(serde::de::Error::duplicate_field("allowOrigins"));
                            }
                            allow_origins__ = Some(map_.next_value()?);
                        }
                        GeneratedField::AllowMethods => {
                            if allow_methods__.is_some() {
                                return Err(serde::de::Error::duplicate_field("allowMethods"));
                            }
                            allow_methods__ = Some(map_.next_value()?);
                        }
                        GeneratedField::AllowHeaders => {
                            if allow_headers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("allowHeaders"));
                            }
                            allow_headers__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ExposeHeaders => {
                            if expose_headers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("exposeHeaders"));
                            }
                            expose_headers__ = Some(map_.next_value()?);
                        }
                        GeneratedField::MaxAgeSeconds => {
                            if max_age_seconds__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxAgeSeconds"));
                            }
                            max_age_seconds__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::AllowCredentials => {
                            if allow_credentials__.is_some() {
                                return Err(serde::de::Error::duplicate_field("allowCredentials"));
                            }
                            allow_credentials__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ForwardUnmatchedPreflights => {
                            if forward_unmatched_preflights__.is_some() {
                                return Err(serde::de::Error::duplicate_field("forwardUnmatchedPreflights"));
                            }
                            forward_unmatched_preflights__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Cors {
                    allow_origins: allow_origins__.unwrap_or_default(),
                    allow_methods: allow_methods__.unwrap_or_default(),
                    allow_headers: allow_headers__.unwrap_or_default(),
                    expose_headers: expose_headers__.unwrap_or_default(),
                    max_age_seconds: max_age_seconds__.unwrap_or_default(),
                    allow_credentials: allow_credentials__.unwrap_or_default(),
                    forward_unmatched_preflights: forward_unmatched_preflights__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Cors", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Destination {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.host.is_empty() {
            len += 1;
        }
        if self.port != 0 {
            len += 1;
        }
        if !self.subset.is_empty() {
            len += 1;
        }
        if self.weight != 0 {
            len += 1;
        }
        if self.headers.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Destination", len)?;
        if !self.host.is_empty() {
            struct_ser.serialize_field("host", &self.host)?;
        }
        if self.port != 0 {
            struct_ser.serialize_field("port", &self.port)?;
        }
        if !self.subset.is_empty() {
            struct_ser.serialize_field("subset", &self.subset)?;
        }
        if self.weight != 0 {
            struct_ser.serialize_field("weight", &self.weight)?;
        }
        if let Some(v) = self.headers.as_ref() {
            struct_ser.serialize_field("headers", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Destination {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "host",
            "port",
            "subset",
            "weight",
            "headers",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Host,
            Port,
            Subset,
            Weight,
            Headers,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "host" => Ok(GeneratedField::Host),
                            "port" => Ok(GeneratedField::Port),
                            "subset" => Ok(GeneratedField::Subset),
                            "weight" => Ok(GeneratedField::Weight),
                            "headers" => Ok(GeneratedField::Headers),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Destination;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Destination")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Destination, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut host__ = None;
                let mut port__ = None;
                let mut subset__ = None;
                let mut weight__ = None;
                let mut headers__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Host => {
                            if host__.is_some() {
                                return Err(serde::de::Error::duplicate_field("host"));
                            }
                            host__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Port => {
                            if port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("port"));
                            }
                            port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Subset => {
                            if subset__.is_some() {
                                return Err(serde::de::Error::duplicate_field("subset"));
                            }
                            subset__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Weight => {
                            if weight__.is_some() {
                                return Err(serde::de::Error::duplicate_field("weight"));
                            }
                            weight__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Headers => {
                            if headers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("headers"));
                            }
                            headers__ = map_.next_value()?;
                        }
                    }
                }
                Ok(Destination {
                    host: host__.unwrap_or_default(),
                    port: port__.unwrap_or_default(),
                    subset: subset__.unwrap_or_default(),
                    weight: weight__.unwrap_or_default(),
                    headers: headers__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Destination", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for DirectResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.status != 0 {
            len += 1;
        }
        if !self.body.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.DirectResponse", len)?;
        if self.status != 0 {
            struct_ser.serialize_field("status", &self.status)?;
        }
        if !self.body.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("body", pbjson::private::base64::encode(&self.body).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for DirectResponse {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "status",
            "body",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Status,
            Body,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "status" => Ok(GeneratedField::Status),
                            "body" => Ok(GeneratedField::Body),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = DirectResponse;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.DirectResponse")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<DirectResponse, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut status__ = None;
                let mut body__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Status => {
                            if status__.is_some() {
                                return Err(serde::de::Error::duplicate_field("status"));
                            }
                            status__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Body => {
                            if body__.is_some() {
                                return Err(serde::de::Error::duplicate_field("body"));
                            }
                            body__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(DirectResponse {
                    status: status__.unwrap_or_default(),
                    body: body__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.DirectResponse", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for DiscoveryRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.node.is_some() {
            len += 1;
        }
        if !self.subscribe.is_empty() {
            len += 1;
        }
        if !self.unsubscribe.is_empty() {
            len += 1;
        }
        if !self.known.is_empty() {
            len += 1;
        }
        if self.ack.is_some() {
            len += 1;
        }
        if self.leaving {
            len += 1;
        }
        if self.identity.is_some() {
            len += 1;
        }
        if !self.unknown_keys.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.DiscoveryRequest", len)?;
        if let Some(v) = self.node.as_ref() {
            struct_ser.serialize_field("node", v)?;
        }
        if !self.subscribe.is_empty() {
            struct_ser.serialize_field("subscribe", &self.subscribe)?;
        }
        if !self.unsubscribe.is_empty() {
            struct_ser.serialize_field("unsubscribe", &self.unsubscribe)?;
        }
        if !self.known.is_empty() {
            struct_ser.serialize_field("known", &self.known)?;
        }
        if let Some(v) = self.ack.as_ref() {
            struct_ser.serialize_field("ack", v)?;
        }
        if self.leaving {
            struct_ser.serialize_field("leaving", &self.leaving)?;
        }
        if let Some(v) = self.identity.as_ref() {
            struct_ser.serialize_field("identity", v)?;
        }
        if !self.unknown_keys.is_empty() {
            struct_ser.serialize_field("unknown_keys", &self.unknown_keys)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for DiscoveryRequest {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "node",
            "subscribe",
            "unsubscribe",
            "known",
            "ack",
            "leaving",
            "identity",
            "unknown_keys",
            "unknownKeys",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Node,
            Subscribe,
            Unsubscribe,
            Known,
            Ack,
            Leaving,
            Identity,
            UnknownKeys,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "node" => Ok(GeneratedField::Node),
                            "subscribe" => Ok(GeneratedField::Subscribe),
                            "unsubscribe" => Ok(GeneratedField::Unsubscribe),
                            "known" => Ok(GeneratedField::Known),
                            "ack" => Ok(GeneratedField::Ack),
                            "leaving" => Ok(GeneratedField::Leaving),
                            "identity" => Ok(GeneratedField::Identity),
                            "unknownKeys" | "unknown_keys" => Ok(GeneratedField::UnknownKeys),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = DiscoveryRequest;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.DiscoveryRequest")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<DiscoveryRequest, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut node__ = None;
                let mut subscribe__ = None;
                let mut unsubscribe__ = None;
                let mut known__ = None;
                let mut ack__ = None;
                let mut leaving__ = None;
                let mut identity__ = None;
                let mut unknown_keys__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Node => {
                            if node__.is_some() {
                                return Err(serde::de::Error::duplicate_field("node"));
                            }
                            node__ = map_.next_value()?;
                        }
                        GeneratedField::Subscribe => {
                            if subscribe__.is_some() {
                                return Err(serde::de::Error::duplicate_field("subscribe"));
                            }
                            subscribe__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Unsubscribe => {
                            if unsubscribe__.is_some() {
                                return Err(serde::de::Error::duplicate_field("unsubscribe"));
                            }
                            unsubscribe__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Known => {
                            if known__.is_some() {
                                return Err(serde::de::Error::duplicate_field("known"));
                            }
                            known__ = Some(
                                map_.next_value::<std::collections::BTreeMap<_, _>>()?
                            );
                        }
                        GeneratedField::Ack => {
                            if ack__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ack"));
                            }
                            ack__ = map_.next_value()?;
                        }
                        GeneratedField::Leaving => {
                            if leaving__.is_some() {
                                return Err(serde::de::Error::duplicate_field("leaving"));
                            }
                            leaving__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Identity => {
                            if identity__.is_some() {
                                return Err(serde::de::Error::duplicate_field("identity"));
                            }
                            identity__ = map_.next_value()?;
                        }
                        GeneratedField::UnknownKeys => {
                            if unknown_keys__.is_some() {
                                return Err(serde::de::Error::duplicate_field("unknownKeys"));
                            }
                            unknown_keys__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(DiscoveryRequest {
                    node: node__,
                    subscribe: subscribe__.unwrap_or_default(),
                    unsubscribe: unsubscribe__.unwrap_or_default(),
                    known: known__.unwrap_or_default(),
                    ack: ack__,
                    leaving: leaving__.unwrap_or_default(),
                    identity: identity__,
                    unknown_keys: unknown_keys__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.DiscoveryRequest", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for DiscoveryResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.nonce.is_empty() {
            len += 1;
        }
        if self.revision != 0 {
            len += 1;
        }
        if !self.digest.is_empty() {
            len += 1;
        }
        if !self.upsert.is_empty() {
            len += 1;
        }
        if !self.removed.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.DiscoveryResponse", len)?;
        if !self.nonce.is_empty() {
            struct_ser.serialize_field("nonce", &self.nonce)?;
        }
        if self.revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if !self.digest.is_empty() {
            struct_ser.serialize_field("digest", &self.digest)?;
        }
        if !self.upsert.is_empty() {
            struct_ser.serialize_field("upsert", &self.upsert)?;
        }
        if !self.removed.is_empty() {
            struct_ser.serialize_field("removed", &self.removed)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for DiscoveryResponse {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "nonce",
            "revision",
            "digest",
            "upsert",
            "removed",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Nonce,
            Revision,
            Digest,
            Upsert,
            Removed,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "nonce" => Ok(GeneratedField::Nonce),
                            "revision" => Ok(GeneratedField::Revision),
                            "digest" => Ok(GeneratedField::Digest),
                            "upsert" => Ok(GeneratedField::Upsert),
                            "removed" => Ok(GeneratedField::Removed),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = DiscoveryResponse;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.DiscoveryResponse")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<DiscoveryResponse, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut nonce__ = None;
                let mut revision__ = None;
                let mut digest__ = None;
                let mut upsert__ = None;
                let mut removed__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Nonce => {
                            if nonce__.is_some() {
                                return Err(serde::de::Error::duplicate_field("nonce"));
                            }
                            nonce__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Revision => {
                            if revision__.is_some() {
                                return Err(serde::de::Error::duplicate_field("revision"));
                            }
                            revision__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Digest => {
                            if digest__.is_some() {
                                return Err(serde::de::Error::duplicate_field("digest"));
                            }
                            digest__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Upsert => {
                            if upsert__.is_some() {
                                return Err(serde::de::Error::duplicate_field("upsert"));
                            }
                            upsert__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Removed => {
                            if removed__.is_some() {
                                return Err(serde::de::Error::duplicate_field("removed"));
                            }
                            removed__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(DiscoveryResponse {
                    nonce: nonce__.unwrap_or_default(),
                    revision: revision__.unwrap_or_default(),
                    digest: digest__.unwrap_or_default(),
                    upsert: upsert__.unwrap_or_default(),
                    removed: removed__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.DiscoveryResponse", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for EgressListener {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.bind.is_empty() {
            len += 1;
        }
        if self.port != 0 {
            len += 1;
        }
        if self.protocol != 0 {
            len += 1;
        }
        if !self.host.is_empty() {
            len += 1;
        }
        if self.service_port != 0 {
            len += 1;
        }
        if self.always {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.EgressListener", len)?;
        if !self.bind.is_empty() {
            struct_ser.serialize_field("bind", &self.bind)?;
        }
        if self.port != 0 {
            struct_ser.serialize_field("port", &self.port)?;
        }
        if self.protocol != 0 {
            let v = Protocol::try_from(self.protocol)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.protocol)))?;
            struct_ser.serialize_field("protocol", &v)?;
        }
        if !self.host.is_empty() {
            struct_ser.serialize_field("host", &self.host)?;
        }
        if self.service_port != 0 {
            struct_ser.serialize_field("service_port", &self.service_port)?;
        }
        if self.always {
            struct_ser.serialize_field("always", &self.always)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for EgressListener {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "bind",
            "port",
            "protocol",
            "host",
            "service_port",
            "servicePort",
            "always",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Bind,
            Port,
            Protocol,
            Host,
            ServicePort,
            Always,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "bind" => Ok(GeneratedField::Bind),
                            "port" => Ok(GeneratedField::Port),
                            "protocol" => Ok(GeneratedField::Protocol),
                            "host" => Ok(GeneratedField::Host),
                            "servicePort" | "service_port" => Ok(GeneratedField::ServicePort),
                            "always" => Ok(GeneratedField::Always),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = EgressListener;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.EgressListener")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<EgressListener, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut bind__ = None;
                let mut port__ = None;
                let mut protocol__ = None;
                let mut host__ = None;
                let mut service_port__ = None;
                let mut always__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Bind => {
                            if bind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("bind"));
                            }
                            bind__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Port => {
                            if port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("port"));
                            }
                            port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Protocol => {
                            if protocol__.is_some() {
                                return Err(serde::de::Error::duplicate_field("protocol"));
                            }
                            protocol__ = Some(map_.next_value::<Protocol>()? as i32);
                        }
                        GeneratedField::Host => {
                            if host__.is_some() {
                                return Err(serde::de::Error::duplicate_field("host"));
                            }
                            host__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ServicePort => {
                            if service_port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("servicePort"));
                            }
                            service_port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Always => {
                            if always__.is_some() {
                                return Err(serde::de::Error::duplicate_field("always"));
                            }
                            always__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(EgressListener {
                    bind: bind__.unwrap_or_default(),
                    port: port__.unwrap_or_default(),
                    protocol: protocol__.unwrap_or_default(),
                    host: host__.unwrap_or_default(),
                    service_port: service_port__.unwrap_or_default(),
                    always: always__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.EgressListener", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Expression {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.kind.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Expression", len)?;
        if let Some(v) = self.kind.as_ref() {
            match v {
                expression::Kind::Text(v) => {
                    struct_ser.serialize_field("text", v)?;
                }
                expression::Kind::Number(v) => {
                    #[allow(clippy::needless_borrow)]
                    #[allow(clippy::needless_borrows_for_generic_args)]
                    struct_ser.serialize_field("number", ToString::to_string(&v).as_str())?;
                }
                expression::Kind::Truth(v) => {
                    struct_ser.serialize_field("truth", v)?;
                }
                expression::Kind::Attribute(v) => {
                    let v = ExpressionAttribute::try_from(*v)
                        .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", *v)))?;
                    struct_ser.serialize_field("attribute", &v)?;
                }
                expression::Kind::RequestHeader(v) => {
                    struct_ser.serialize_field("request_header", v)?;
                }
                expression::Kind::Label(v) => {
                    struct_ser.serialize_field("label", v)?;
                }
                expression::Kind::Operation(v) => {
                    struct_ser.serialize_field("operation", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Expression {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "text",
            "number",
            "truth",
            "attribute",
            "request_header",
            "requestHeader",
            "label",
            "operation",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Text,
            Number,
            Truth,
            Attribute,
            RequestHeader,
            Label,
            Operation,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "text" => Ok(GeneratedField::Text),
                            "number" => Ok(GeneratedField::Number),
                            "truth" => Ok(GeneratedField::Truth),
                            "attribute" => Ok(GeneratedField::Attribute),
                            "requestHeader" | "request_header" => Ok(GeneratedField::RequestHeader),
                            "label" => Ok(GeneratedField::Label),
                            "operation" => Ok(GeneratedField::Operation),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Expression;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Expression")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Expression, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut kind__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Text => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("text"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<_>>()?.map(expression::Kind::Text);
                        }
                        GeneratedField::Number => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("number"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<::pbjson::private::NumberDeserialize<_>>>()?.map(|x| expression::Kind::Number(x.0));
                        }
                        GeneratedField::Truth => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("truth"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<_>>()?.map(expression::Kind::Truth);
                        }
                        GeneratedField::Attribute => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("attribute"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<ExpressionAttribute>>()?.map(|x| expression::Kind::Attribute(x as i32));
                        }
                        GeneratedField::RequestHeader => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("requestHeader"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<_>>()?.map(expression::Kind::RequestHeader);
                        }
                        GeneratedField::Label => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("label"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<_>>()?.map(expression::Kind::Label);
                        }
                        GeneratedField::Operation => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("operation"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<_>>()?.map(expression::Kind::Operation)
;
                        }
                    }
                }
                Ok(Expression {
                    kind: kind__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Expression", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ExpressionAttribute {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "EXPRESSION_ATTRIBUTE_UNSPECIFIED",
            Self::RequestHost => "EXPRESSION_ATTRIBUTE_REQUEST_HOST",
            Self::RequestMethod => "EXPRESSION_ATTRIBUTE_REQUEST_METHOD",
            Self::RequestPath => "EXPRESSION_ATTRIBUTE_REQUEST_PATH",
            Self::RequestUrlPath => "EXPRESSION_ATTRIBUTE_REQUEST_URL_PATH",
            Self::RequestQuery => "EXPRESSION_ATTRIBUTE_REQUEST_QUERY",
            Self::RequestProtocol => "EXPRESSION_ATTRIBUTE_REQUEST_PROTOCOL",
            Self::RequestId => "EXPRESSION_ATTRIBUTE_REQUEST_ID",
            Self::RequestUserAgent => "EXPRESSION_ATTRIBUTE_REQUEST_USER_AGENT",
            Self::RequestSize => "EXPRESSION_ATTRIBUTE_REQUEST_SIZE",
            Self::ResponseCode => "EXPRESSION_ATTRIBUTE_RESPONSE_CODE",
            Self::ResponseCodeDetails => "EXPRESSION_ATTRIBUTE_RESPONSE_CODE_DETAILS",
            Self::ResponseFlags => "EXPRESSION_ATTRIBUTE_RESPONSE_FLAGS",
            Self::ResponseGrpcStatus => "EXPRESSION_ATTRIBUTE_RESPONSE_GRPC_STATUS",
            Self::ResponseSize => "EXPRESSION_ATTRIBUTE_RESPONSE_SIZE",
            Self::ConnectionMtls => "EXPRESSION_ATTRIBUTE_CONNECTION_MTLS",
            Self::ConnectionRequestedServerName => "EXPRESSION_ATTRIBUTE_CONNECTION_REQUESTED_SERVER_NAME",
            Self::SourceAddress => "EXPRESSION_ATTRIBUTE_SOURCE_ADDRESS",
            Self::SourcePort => "EXPRESSION_ATTRIBUTE_SOURCE_PORT",
            Self::DestinationAddress => "EXPRESSION_ATTRIBUTE_DESTINATION_ADDRESS",
            Self::DestinationPort => "EXPRESSION_ATTRIBUTE_DESTINATION_PORT",
            Self::UpstreamAddress => "EXPRESSION_ATTRIBUTE_UPSTREAM_ADDRESS",
            Self::UpstreamTransportFailureReason => "EXPRESSION_ATTRIBUTE_UPSTREAM_TRANSPORT_FAILURE_REASON",
            Self::ClusterName => "EXPRESSION_ATTRIBUTE_CLUSTER_NAME",
            Self::RouteName => "EXPRESSION_ATTRIBUTE_ROUTE_NAME",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for ExpressionAttribute {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "EXPRESSION_ATTRIBUTE_UNSPECIFIED",
            "EXPRESSION_ATTRIBUTE_REQUEST_HOST",
            "EXPRESSION_ATTRIBUTE_REQUEST_METHOD",
            "EXPRESSION_ATTRIBUTE_REQUEST_PATH",
            "EXPRESSION_ATTRIBUTE_REQUEST_URL_PATH",
            "EXPRESSION_ATTRIBUTE_REQUEST_QUERY",
            "EXPRESSION_ATTRIBUTE_REQUEST_PROTOCOL",
            "EXPRESSION_ATTRIBUTE_REQUEST_ID",
            "EXPRESSION_ATTRIBUTE_REQUEST_USER_AGENT",
            "EXPRESSION_ATTRIBUTE_REQUEST_SIZE",
            "EXPRESSION_ATTRIBUTE_RESPONSE_CODE",
            "EXPRESSION_ATTRIBUTE_RESPONSE_CODE_DETAILS",
            "EXPRESSION_ATTRIBUTE_RESPONSE_FLAGS",
            "EXPRESSION_ATTRIBUTE_RESPONSE_GRPC_STATUS",
            "EXPRESSION_ATTRIBUTE_RESPONSE_SIZE",
            "EXPRESSION_ATTRIBUTE_CONNECTION_MTLS",
            "EXPRESSION_ATTRIBUTE_CONNECTION_REQUESTED_SERVER_NAME",
            "EXPRESSION_ATTRIBUTE_SOURCE_ADDRESS",
            "EXPRESSION_ATTRIBUTE_SOURCE_PORT",
            "EXPRESSION_ATTRIBUTE_DESTINATION_ADDRESS",
            "EXPRESSION_ATTRIBUTE_DESTINATION_PORT",
            "EXPRESSION_ATTRIBUTE_UPSTREAM_ADDRESS",
            "EXPRESSION_ATTRIBUTE_UPSTREAM_TRANSPORT_FAILURE_REASON",
            "EXPRESSION_ATTRIBUTE_CLUSTER_NAME",
            "EXPRESSION_ATTRIBUTE_ROUTE_NAME",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = ExpressionAttribute;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "EXPRESSION_ATTRIBUTE_UNSPECIFIED" => Ok(ExpressionAttribute::Unspecified),
                    "EXPRESSION_ATTRIBUTE_REQUEST_HOST" => Ok(ExpressionAttribute::RequestHost),
                    "EXPRESSION_ATTRIBUTE_REQUEST_METHOD" => Ok(ExpressionAttribute::RequestMethod),
                    "EXPRESSION_ATTRIBUTE_REQUEST_PATH" => Ok(ExpressionAttribute::RequestPath),
                    "EXPRESSION_ATTRIBUTE_REQUEST_URL_PATH" => Ok(ExpressionAttribute::RequestUrlPath),
                    "EXPRESSION_ATTRIBUTE_REQUEST_QUERY" => Ok(ExpressionAttribute::RequestQuery),
                    "EXPRESSION_ATTRIBUTE_REQUEST_PROTOCOL" => Ok(ExpressionAttribute::RequestProtocol),
                    "EXPRESSION_ATTRIBUTE_REQUEST_ID" => Ok(ExpressionAttribute::RequestId),
                    "EXPRESSION_ATTRIBUTE_REQUEST_USER_AGENT" => Ok(ExpressionAttribute::RequestUserAgent),
                    "EXPRESSION_ATTRIBUTE_REQUEST_SIZE" => Ok(ExpressionAttribute::RequestSize),
                    "EXPRESSION_ATTRIBUTE_RESPONSE_CODE" => Ok(ExpressionAttribute::ResponseCode),
                    "EXPRESSION_ATTRIBUTE_RESPONSE_CODE_DETAILS" => Ok(ExpressionAttribute::ResponseCodeDetails),
                    "EXPRESSION_ATTRIBUTE_RESPONSE_FLAGS" => Ok(ExpressionAttribute::ResponseFlags),
                    "EXPRESSION_ATTRIBUTE_RESPONSE_GRPC_STATUS" => Ok(ExpressionAttribute::ResponseGrpcStatus),
                    "EXPRESSION_ATTRIBUTE_RESPONSE_SIZE" => Ok(ExpressionAttribute::ResponseSize),
                    "EXPRESSION_ATTRIBUTE_CONNECTION_MTLS" => Ok(ExpressionAttribute::ConnectionMtls),
                    "EXPRESSION_ATTRIBUTE_CONNECTION_REQUESTED_SERVER_NAME" => Ok(ExpressionAttribute::ConnectionRequestedServerName),
                    "EXPRESSION_ATTRIBUTE_SOURCE_ADDRESS" => Ok(ExpressionAttribute::SourceAddress),
                    "EXPRESSION_ATTRIBUTE_SOURCE_PORT" => Ok(ExpressionAttribute::SourcePort),
                    "EXPRESSION_ATTRIBUTE_DESTINATION_ADDRESS" => Ok(ExpressionAttribute::DestinationAddress),
                    "EXPRESSION_ATTRIBUTE_DESTINATION_PORT" => Ok(ExpressionAttribute::DestinationPort),
                    "EXPRESSION_ATTRIBUTE_UPSTREAM_ADDRESS" => Ok(ExpressionAttribute::UpstreamAddress),
                    "EXPRESSION_ATTRIBUTE_UPSTREAM_TRANSPORT_FAILURE_REASON" => Ok(ExpressionAttribute::UpstreamTransportFailureReason),
                    "EXPRESSION_ATTRIBUTE_CLUSTER_NAME" => Ok(ExpressionAttribute::ClusterName),
                    "EXPRESSION_ATTRIBUTE_ROUTE_NAME" => Ok(ExpressionAttribute::RouteName),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for ExternalAuthorizer {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.host.is_empty() {
            len += 1;
        }
        if self.port != 0 {
            len += 1;
        }
        if self.grpc {
            len += 1;
        }
        if self.timeout_ms != 0 {
            len += 1;
        }
        if self.fail_open {
            len += 1;
        }
        if self.status_on_error != 0 {
            len += 1;
        }
        if !self.path_prefix.is_empty() {
            len += 1;
        }
        if !self.include_request_headers.is_empty() {
            len += 1;
        }
        if !self.additional_headers.is_empty() {
            len += 1;
        }
        if self.body.is_some() {
            len += 1;
        }
        if !self.headers_to_upstream_on_allow.is_empty() {
            len += 1;
        }
        if !self.headers_to_downstream_on_deny.is_empty() {
            len += 1;
        }
        if !self.headers_to_downstream_on_allow.is_empty() {
            len += 1;
        }
        if !self.unusable.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.ExternalAuthorizer", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.host.is_empty() {
            struct_ser.serialize_field("host", &self.host)?;
        }
        if self.port != 0 {
            struct_ser.serialize_field("port", &self.port)?;
        }
        if self.grpc {
            struct_ser.serialize_field("grpc", &self.grpc)?;
        }
        if self.timeout_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("timeout_ms", ToString::to_string(&self.timeout_ms).as_str())?;
        }
        if self.fail_open {
            struct_ser.serialize_field("fail_open", &self.fail_open)?;
        }
        if self.status_on_error != 0 {
            struct_ser.serialize_field("status_on_error", &self.status_on_error)?;
        }
        if !self.path_prefix.is_empty() {
            struct_ser.serialize_field("path_prefix", &self.path_prefix)?;
        }
        if !self.include_request_headers.is_empty() {
            struct_ser.serialize_field("include_request_headers", &self.include_request_headers)?;
        }
        if !self.additional_headers.is_empty() {
            struct_ser.serialize_field("additional_headers", &self.additional_headers)?;
        }
        if let Some(v) = self.body.as_ref() {
            struct_ser.serialize_field("body", v)?;
        }
        if !self.headers_to_upstream_on_allow.is_empty() {
            struct_ser.serialize_field("headers_to_upstream_on_allow", &self.headers_to_upstream_on_allow)?;
        }
        if !self.headers_to_downstream_on_deny.is_empty() {
            struct_ser.serialize_field("headers_to_downstream_on_deny", &self.headers_to_downstream_on_deny)?;
        }
        if !self.headers_to_downstream_on_allow.is_empty() {
            struct_ser.serialize_field("headers_to_downstream_on_allow", &self.headers_to_downstream_on_allow)?;
        }
        if !self.unusable.is_empty() {
            struct_ser.serialize_field("unusable", &self.unusable)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ExternalAuthorizer {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "host",
            "port",
            "grpc",
            "timeout_ms",
            "timeoutMs",
            "fail_open",
            "failOpen",
            "status_on_error",
            "statusOnError",
            "path_prefix",
            "pathPrefix",
            "include_request_headers",
            "includeRequestHeaders",
            "additional_headers",
            "additionalHeaders",
            "body",
            "headers_to_upstream_on_allow",
            "headersToUpstreamOnAllow",
            "headers_to_downstream_on_deny",
            "headersToDownstreamOnDeny",
            "headers_to_downstream_on_allow",
            "headersToDownstreamOnAllow",
            "unusable",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Host,
            Port,
            Grpc,
            TimeoutMs,
            FailOpen,
            StatusOnError,
            PathPrefix,
            IncludeRequestHeaders,
            AdditionalHeaders,
            Body,
            HeadersToUpstreamOnAllow,
            HeadersToDownstreamOnDeny,
            HeadersToDownstreamOnAllow,
            Unusable,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "host" => Ok(GeneratedField::Host),
                            "port" => Ok(GeneratedField::Port),
                            "grpc" => Ok(GeneratedField::Grpc),
                            "timeoutMs" | "timeout_ms" => Ok(GeneratedField::TimeoutMs),
                            "failOpen" | "fail_open" => Ok(GeneratedField::FailOpen),
                            "statusOnError" | "status_on_error" => Ok(GeneratedField::StatusOnError),
                            "pathPrefix" | "path_prefix" => Ok(GeneratedField::PathPrefix),
                            "includeRequestHeaders" | "include_request_headers" => Ok(GeneratedField::IncludeRequestHeaders),
                            "additionalHeaders" | "additional_headers" => Ok(GeneratedField::AdditionalHeaders),
                            "body" => Ok(GeneratedField::Body),
                            "headersToUpstreamOnAllow" | "headers_to_upstream_on_allow" => Ok(GeneratedField::HeadersToUpstreamOnAllow),
                            "headersToDownstreamOnDeny" | "headers_to_downstream_on_deny" => Ok(GeneratedField::HeadersToDownstreamOnDeny),
                            "headersToDownstreamOnAllow" | "headers_to_downstream_on_allow" => Ok(GeneratedField::HeadersToDownstreamOnAllow),
                            "unusable" => Ok(GeneratedField::Unusable),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ExternalAuthorizer;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.ExternalAuthorizer")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ExternalAuthorizer, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut host__ = None;
                let mut port__ = None;
                let mut grpc__ = None;
                let mut timeout_ms__ = None;
                let mut fail_open__ = None;
                let mut status_on_error__ = None;
                let mut path_prefix__ = None;
                let mut include_request_headers__ = None;
                let mut additional_headers__ = None;
                let mut body__ = None;
                let mut headers_to_upstream_on_allow__ = None;
                let mut headers_to_downstream_on_deny__ = None;
                let mut headers_to_downstream_on_allow__ = None;
                let mut unusable__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Host => {
                            if host__.is_some() {
                                return Err(serde::de::Error::duplicate_field("host"));
                            }
                            host__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Port => {
                            if port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("port"));
                            }
                            port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Grpc => {
                            if grpc__.is_some() {
                                return Err(serde::de::Error::duplicate_field("grpc"));
                            }
                            grpc__ = Some(map_.next_value()?);
                        }
                        GeneratedField::TimeoutMs => {
                            if timeout_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("timeoutMs"));
                            }
                            timeout_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::FailOpen => {
                            if fail_open__.is_some() {
                                return Err(serde::de::Error::duplicate_field("failOpen"));
                            }
                            fail_open__ = Some(map_.next_value()?);
                        }
                        GeneratedField::StatusOnError => {
                            if status_on_error__.is_some() {
                                return Err(serde::de::Error::duplicate_field("statusOnError"));
                            }
                            status_on_error__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::PathPrefix => {
                            if path_prefix__.is_some() {
                                return Err(serde::de::Error::duplicate_field("pathPrefix"));
                            }
                            path_prefix__ = Some(map_.next_value()?);
                        }
                        GeneratedField::IncludeRequestHeaders => {
                            if include_request_headers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("includeRequestHeaders"));
                            }
                            include_request_headers__ = Some(map_.next_value()?);
                        }
                        GeneratedField::AdditionalHeaders => {
                            if additional_headers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("additionalHeaders"));
                            }
                            additional_headers__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Body => {
                            if body__.is_some() {
                                return Err(serde::de::Error::duplicate_field("body"));
                            }
                            body__ = map_.next_value()?;
                        }
                        GeneratedField::HeadersToUpstreamOnAllow => {
                            if headers_to_upstream_on_allow__.is_some() {
                                return Err(serde::de::Error::duplicate_field("headersToUpstreamOnAllow"));
                            }
                            headers_to_upstream_on_allow__ = Some(map_.next_value()?);
                        }
                        GeneratedField::HeadersToDownstreamOnDeny => {
                            if headers_to_downstream_on_deny__.is_some() {
                                return Err(serde::de::Error::duplicate_field("headersToDownstreamOnDeny"));
                            }
                            headers_to_downstream_on_deny__ = Some(map_.next_value()?);
                        }
                        GeneratedField::HeadersToDownstreamOnAllow => {
                            if headers_to_downstream_on_allow__.is_some() {
                                return Err(serde::de::Error::duplicate_field("headersToDownstreamOnAllow"));
                            }
                            headers_to_downstream_on_allow__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Unusable => {
                            if unusable__.is_some() {
                                return Err(serde::de::Error::duplicate_field("unusable"));
                            }
                            unusable__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(ExternalAuthorizer {
                    name: name__.unwrap_or_default(),
                    host: host__.unwrap_or_default(),
                    port: port__.unwrap_or_default(),
                    grpc: grpc__.unwrap_or_default(),
                    timeout_ms: timeout_ms__.unwrap_or_default(),
                    fail_open: fail_open__.unwrap_or_default(),
                    status_on_error: status_on_error__.unwrap_or_default(),
                    path_prefix: path_prefix__.unwrap_or_default(),
                    include_request_headers: include_request_headers__.unwrap_or_default(),
                    additional_headers: additional_headers__.unwrap_or_default(),
                    body: body__,
                    headers_to_upstream_on_allow: headers_to_upstream_on_allow__.unwrap_or_default(),
                    headers_to_downstream_on_deny: headers_to_downstream_on_deny__.unwrap_or_default(),
                    headers_to_downstream_on_allow: headers_to_downstream_on_allow__.unwrap_or_default(),
                    unusable: unusable__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.ExternalAuthorizer", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Fault {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.delay_per_million != 0 {
            len += 1;
        }
        if self.delay_ms != 0 {
            len += 1;
        }
        if self.abort_per_million != 0 {
            len += 1;
        }
        if self.abort_http != 0 {
            len += 1;
        }
        if self.abort_grpc != 0 {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Fault", len)?;
        if self.delay_per_million != 0 {
            struct_ser.serialize_field("delay_per_million", &self.delay_per_million)?;
        }
        if self.delay_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("delay_ms", ToString::to_string(&self.delay_ms).as_str())?;
        }
        if self.abort_per_million != 0 {
            struct_ser.serialize_field("abort_per_million", &self.abort_per_million)?;
        }
        if self.abort_http != 0 {
            struct_ser.serialize_field("abort_http", &self.abort_http)?;
        }
        if self.abort_grpc != 0 {
            struct_ser.serialize_field("abort_grpc", &self.abort_grpc)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Fault {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "delay_per_million",
            "delayPerMillion",
            "delay_ms",
            "delayMs",
            "abort_per_million",
            "abortPerMillion",
            "abort_http",
            "abortHttp",
            "abort_grpc",
            "abortGrpc",
            "origin",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            DelayPerMillion,
            DelayMs,
            AbortPerMillion,
            AbortHttp,
            AbortGrpc,
            Origin,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "delayPerMillion" | "delay_per_million" => Ok(GeneratedField::DelayPerMillion),
                            "delayMs" | "delay_ms" => Ok(GeneratedField::DelayMs),
                            "abortPerMillion" | "abort_per_million" => Ok(GeneratedField::AbortPerMillion),
                            "abortHttp" | "abort_http" => Ok(GeneratedField::AbortHttp),
                            "abortGrpc" | "abort_grpc" => Ok(GeneratedField::AbortGrpc),
                            "origin" => Ok(GeneratedField::Origin),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Fault;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Fault")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Fault, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut delay_per_million__ = None;
                let mut delay_ms__ = None;
                let mut abort_per_million__ = None;
                let mut abort_http__ = None;
                let mut abort_grpc__ = None;
                let mut origin__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::DelayPerMillion => {
                            if delay_per_million__.is_some() {
                                return Err(serde::de::Error::duplicate_field("delayPerMillion"));
                            }
                            delay_per_million__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::DelayMs => {
                            if delay_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("delayMs"));
                            }
                            delay_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::AbortPerMillion => {
                            if abort_per_million__.is_some() {
                                return Err(serde::de::Error::duplicate_field("abortPerMillion"));
                            }
                            abort_per_million__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::AbortHttp => {
                            if abort_http__.is_some() {
                                return Err(serde::de::Error::duplicate_field("abortHttp"));
                            }
                            abort_http__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::AbortGrpc => {
                            if abort_grpc__.is_some() {
                                return Err(serde::de::Error::duplicate_field("abortGrpc"));
                            }
                            abort_grpc__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                    }
                }
                Ok(Fault {
                    delay_per_million: delay_per_million__.unwrap_or_default(),
                    delay_ms: delay_ms__.unwrap_or_default(),
                    abort_per_million: abort_per_million__.unwrap_or_default(),
                    abort_http: abort_http__.unwrap_or_default(),
                    abort_grpc: abort_grpc__.unwrap_or_default(),
                    origin: origin__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Fault", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Field {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.value.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Field", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.value.is_empty() {
            struct_ser.serialize_field("value", &self.value)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Field {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "value",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Value,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "value" => Ok(GeneratedField::Value),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Field;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Field")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Field, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut value__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Value => {
                            if value__.is_some() {
                                return Err(serde::de::Error::duplicate_field("value"));
                            }
                            value__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Field {
                    name: name__.unwrap_or_default(),
                    value: value__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Field", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for FieldEdits {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.set.is_empty() {
            len += 1;
        }
        if !self.add.is_empty() {
            len += 1;
        }
        if !self.remove.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.FieldEdits", len)?;
        if !self.set.is_empty() {
            struct_ser.serialize_field("set", &self.set)?;
        }
        if !self.add.is_empty() {
            struct_ser.serialize_field("add", &self.add)?;
        }
        if !self.remove.is_empty() {
            struct_ser.serialize_field("remove", &self.remove)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for FieldEdits {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "set",
            "add",
            "remove",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Set,
            Add,
            Remove,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "set" => Ok(GeneratedField::Set),
                            "add" => Ok(GeneratedField::Add),
                            "remove" => Ok(GeneratedField::Remove),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = FieldEdits;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.FieldEdits")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<FieldEdits, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut set__ = None;
                let mut add__ = None;
                let mut remove__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Set => {
                            if set__.is_some() {
                                return Err(serde::de::Error::duplicate_field("set"));
                            }
                            set__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Add => {
                            if add__.is_some() {
                                return Err(serde::de::Error::duplicate_field("add"));
                            }
                            add__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Remove => {
                            if remove__.is_some() {
                                return Err(serde::de::Error::duplicate_field("remove"));
                            }
                            remove__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(FieldEdits {
                    set: set__.unwrap_or_default(),
                    add: add__.unwrap_or_default(),
                    remove: remove__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.FieldEdits", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for FieldMatch {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if self.value.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.FieldMatch", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if let Some(v) = self.value.as_ref() {
            struct_ser.serialize_field("value", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for FieldMatch {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "value",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Value,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "value" => Ok(GeneratedField::Value),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = FieldMatch;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.FieldMatch")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<FieldMatch, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut value__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Value => {
                            if value__.is_some() {
                                return Err(serde::de::Error::duplicate_field("value"));
                            }
                            value__ = map_.next_value()?;
                        }
                    }
                }
                Ok(FieldMatch {
                    name: name__.unwrap_or_default(),
                    value: value__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.FieldMatch", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Forward {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.destinations.is_empty() {
            len += 1;
        }
        if self.rewrite.is_some() {
            len += 1;
        }
        if self.timeout_ms != 0 {
            len += 1;
        }
        if self.retry.is_some() {
            len += 1;
        }
        if !self.mirrors.is_empty() {
            len += 1;
        }
        if self.invalid.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Forward", len)?;
        if !self.destinations.is_empty() {
            struct_ser.serialize_field("destinations", &self.destinations)?;
        }
        if let Some(v) = self.rewrite.as_ref() {
            struct_ser.serialize_field("rewrite", v)?;
        }
        if self.timeout_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("timeout_ms", ToString::to_string(&self.timeout_ms).as_str())?;
        }
        if let Some(v) = self.retry.as_ref() {
            struct_ser.serialize_field("retry", v)?;
        }
        if !self.mirrors.is_empty() {
            struct_ser.serialize_field("mirrors", &self.mirrors)?;
        }
        if let Some(v) = self.invalid.as_ref() {
            struct_ser.serialize_field("invalid", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Forward {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "destinations",
            "rewrite",
            "timeout_ms",
            "timeoutMs",
            "retry",
            "mirrors",
            "invalid",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Destinations,
            Rewrite,
            TimeoutMs,
            Retry,
            Mirrors,
            Invalid,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "destinations" => Ok(GeneratedField::Destinations),
                            "rewrite" => Ok(GeneratedField::Rewrite),
                            "timeoutMs" | "timeout_ms" => Ok(GeneratedField::TimeoutMs),
                            "retry" => Ok(GeneratedField::Retry),
                            "mirrors" => Ok(GeneratedField::Mirrors),
                            "invalid" => Ok(GeneratedField::Invalid),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Forward;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Forward")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Forward, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut destinations__ = None;
                let mut rewrite__ = None;
                let mut timeout_ms__ = None;
                let mut retry__ = None;
                let mut mirrors__ = None;
                let mut invalid__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Destinations => {
                            if destinations__.is_some() {
                                return Err(serde::de::Error::duplicate_field("destinations"));
                            }
                            destinations__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Rewrite => {
                            if rewrite__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rewrite"));
                            }
                            rewrite__ = map_.next_value()?;
                        }
                        GeneratedField::TimeoutMs => {
                            if timeout_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("timeoutMs"));
                            }
                            timeout_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Retry => {
                            if retry__.is_some() {
                                return Err(serde::de::Error::duplicate_field("retry"));
                            }
                            retry__ = map_.next_value()?;
                        }
                        GeneratedField::Mirrors => {
                            if mirrors__.is_some() {
                                return Err(serde::de::Error::duplicate_field("mirrors"));
                            }
                            mirrors__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Invalid => {
                            if invalid__.is_some() {
                                return Err(serde::de::Error::duplicate_field("invalid"));
                            }
                            invalid__ = map_.next_value()?;
                        }
                    }
                }
                Ok(Forward {
                    destinations: destinations__.unwrap_or_default(),
                    rewrite: rewrite__,
                    timeout_ms: timeout_ms__.unwrap_or_default(),
                    retry: retry__,
                    mirrors: mirrors__.unwrap_or_default(),
                    invalid: invalid__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Forward", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ForwardClientCert {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "FORWARD_CLIENT_CERT_UNSPECIFIED",
            Self::Sanitize => "FORWARD_CLIENT_CERT_SANITIZE",
            Self::ForwardOnly => "FORWARD_CLIENT_CERT_FORWARD_ONLY",
            Self::AppendForward => "FORWARD_CLIENT_CERT_APPEND_FORWARD",
            Self::SanitizeSet => "FORWARD_CLIENT_CERT_SANITIZE_SET",
            Self::AlwaysForwardOnly => "FORWARD_CLIENT_CERT_ALWAYS_FORWARD_ONLY",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for ForwardClientCert {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "FORWARD_CLIENT_CERT_UNSPECIFIED",
            "FORWARD_CLIENT_CERT_SANITIZE",
            "FORWARD_CLIENT_CERT_FORWARD_ONLY",
            "FORWARD_CLIENT_CERT_APPEND_FORWARD",
            "FORWARD_CLIENT_CERT_SANITIZE_SET",
            "FORWARD_CLIENT_CERT_ALWAYS_FORWARD_ONLY",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = ForwardClientCert;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "FORWARD_CLIENT_CERT_UNSPECIFIED" => Ok(ForwardClientCert::Unspecified),
                    "FORWARD_CLIENT_CERT_SANITIZE" => Ok(ForwardClientCert::Sanitize),
                    "FORWARD_CLIENT_CERT_FORWARD_ONLY" => Ok(ForwardClientCert::ForwardOnly),
                    "FORWARD_CLIENT_CERT_APPEND_FORWARD" => Ok(ForwardClientCert::AppendForward),
                    "FORWARD_CLIENT_CERT_SANITIZE_SET" => Ok(ForwardClientCert::SanitizeSet),
                    "FORWARD_CLIENT_CERT_ALWAYS_FORWARD_ONLY" => Ok(ForwardClientCert::AlwaysForwardOnly),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for Gateway {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.workload.is_empty() {
            len += 1;
        }
        if !self.listeners.is_empty() {
            len += 1;
        }
        if !self.policies.is_empty() {
            len += 1;
        }
        if self.place.is_some() {
            len += 1;
        }
        if self.topology.is_some() {
            len += 1;
        }
        if self.admission.is_some() {
            len += 1;
        }
        if !self.request_authentications.is_empty() {
            len += 1;
        }
        if !self.external_authorizers.is_empty() {
            len += 1;
        }
        if self.telemetry.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Gateway", len)?;
        if !self.workload.is_empty() {
            struct_ser.serialize_field("workload", &self.workload)?;
        }
        if !self.listeners.is_empty() {
            struct_ser.serialize_field("listeners", &self.listeners)?;
        }
        if !self.policies.is_empty() {
            struct_ser.serialize_field("policies", &self.policies)?;
        }
        if let Some(v) = self.place.as_ref() {
            struct_ser.serialize_field("place", v)?;
        }
        if let Some(v) = self.topology.as_ref() {
            struct_ser.serialize_field("topology", v)?;
        }
        if let Some(v) = self.admission.as_ref() {
            struct_ser.serialize_field("admission", v)?;
        }
        if !self.request_authentications.is_empty() {
            struct_ser.serialize_field("request_authentications", &self.request_authentications)?;
        }
        if !self.external_authorizers.is_empty() {
            struct_ser.serialize_field("external_authorizers", &self.external_authorizers)?;
        }
        if let Some(v) = self.telemetry.as_ref() {
            struct_ser.serialize_field("telemetry", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Gateway {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "workload",
            "listeners",
            "policies",
            "place",
            "topology",
            "admission",
            "request_authentications",
            "requestAuthentications",
            "external_authorizers",
            "externalAuthorizers",
            "telemetry",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Workload,
            Listeners,
            Policies,
            Place,
            Topology,
            Admission,
            RequestAuthentications,
            ExternalAuthorizers,
            Telemetry,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "workload" => Ok(GeneratedField::Workload),
                            "listeners" => Ok(GeneratedField::Listeners),
                            "policies" => Ok(GeneratedField::Policies),
                            "place" => Ok(GeneratedField::Place),
                            "topology" => Ok(GeneratedField::Topology),
                            "admission" => Ok(GeneratedField::Admission),
                            "requestAuthentications" | "request_authentications" => Ok(GeneratedField::RequestAuthentications),
                            "externalAuthorizers" | "external_authorizers" => Ok(GeneratedField::ExternalAuthorizers),
                            "telemetry" => Ok(GeneratedField::Telemetry),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Gateway;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Gateway")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Gateway, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut workload__ = None;
                let mut listeners__ = None;
                let mut policies__ = None;
                let mut place__ = None;
                let mut topology__ = None;
                let mut admission__ = None;
                let mut request_authentications__ = None;
                let mut external_authorizers__ = None;
                let mut telemetry__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Workload => {
                            if workload__.is_some() {
                                return Err(serde::de::Error::duplicate_field("workload"));
                            }
                            workload__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Listeners => {
                            if listeners__.is_some() {
                                return Err(serde::de::Error::duplicate_field("listeners"));
                            }
                            listeners__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Policies => {
                            if policies__.is_some() {
                                return Err(serde::de::Error::duplicate_field("policies"));
                            }
                            policies__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Place => {
                            if place__.is_some() {
                                return Err(serde::de::Error::duplicate_field("place"));
                            }
                            place__ = map_.next_value()?;
                        }
                        GeneratedField::Topology => {
                            if topology__.is_some() {
                                return Err(serde::de::Error::duplicate_field("topology"));
                            }
                            topology__ = map_.next_value()?;
                        }
                        GeneratedField::Admission => {
                            if admission__.is_some() {
                                return Err(serde::de::Error::duplicate_field("admission"));
                            }
                            admission__ = map_.next_value()?;
                        }
                        GeneratedField::RequestAuthentications => {
                            if request_authentications__.is_some() {
                                return Err(serde::de::Error::duplicate_field("requestAuthentications"));
                            }
                            request_authentications__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ExternalAuthorizers => {
                            if external_authorizers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("externalAuthorizers"));
                            }
                            external_authorizers__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Telemetry => {
                            if telemetry__.is_some() {
                                return Err(serde::de::Error::duplicate_field("telemetry"));
                            }
                            telemetry__ = map_.next_value()?;
                        }
                    }
                }
                Ok(Gateway {
                    workload: workload__.unwrap_or_default(),
                    listeners: listeners__.unwrap_or_default(),
                    policies: policies__.unwrap_or_default(),
                    place: place__,
                    topology: topology__,
                    admission: admission__,
                    request_authentications: request_authentications__.unwrap_or_default(),
                    external_authorizers: external_authorizers__.unwrap_or_default(),
                    telemetry: telemetry__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Gateway", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for GatewayHost {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.domain.is_empty() {
            len += 1;
        }
        if !self.http.is_empty() {
            len += 1;
        }
        if self.https_redirect {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.GatewayHost", len)?;
        if !self.domain.is_empty() {
            struct_ser.serialize_field("domain", &self.domain)?;
        }
        if !self.http.is_empty() {
            struct_ser.serialize_field("http", &self.http)?;
        }
        if self.https_redirect {
            struct_ser.serialize_field("https_redirect", &self.https_redirect)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for GatewayHost {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "domain",
            "http",
            "https_redirect",
            "httpsRedirect",
            "origin",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Domain,
            Http,
            HttpsRedirect,
            Origin,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "domain" => Ok(GeneratedField::Domain),
                            "http" => Ok(GeneratedField::Http),
                            "httpsRedirect" | "https_redirect" => Ok(GeneratedField::HttpsRedirect),
                            "origin" => Ok(GeneratedField::Origin),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = GatewayHost;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.GatewayHost")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<GatewayHost, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut domain__ = None;
                let mut http__ = None;
                let mut https_redirect__ = None;
                let mut origin__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Domain => {
                            if domain__.is_some() {
                                return Err(serde::de::Error::duplicate_field("domain"));
                            }
                            domain__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Http => {
                            if http__.is_some() {
                                return Err(serde::de::Error::duplicate_field("http"));
                            }
                            http__ = Some(map_.next_value()?);
                        }
                        GeneratedField::HttpsRedirect => {
                            if https_redirect__.is_some() {
                                return Err(serde::de::Error::duplicate_field("httpsRedirect"));
                            }
                            https_redirect__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                    }
                }
                Ok(GatewayHost {
                    domain: domain__.unwrap_or_default(),
                    http: http__.unwrap_or_default(),
                    https_redirect: https_redirect__.unwrap_or_default(),
                    origin: origin__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.GatewayHost", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for GatewayListener {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.port != 0 {
            len += 1;
        }
        if self.protocol != 0 {
            len += 1;
        }
        if !self.hosts.is_empty() {
            len += 1;
        }
        if !self.bind.is_empty() {
            len += 1;
        }
        if !self.service_ports.is_empty() {
            len += 1;
        }
        if !self.tls.is_empty() {
            len += 1;
        }
        if !self.tcp.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.GatewayListener", len)?;
        if self.port != 0 {
            struct_ser.serialize_field("port", &self.port)?;
        }
        if self.protocol != 0 {
            let v = Protocol::try_from(self.protocol)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.protocol)))?;
            struct_ser.serialize_field("protocol", &v)?;
        }
        if !self.hosts.is_empty() {
            struct_ser.serialize_field("hosts", &self.hosts)?;
        }
        if !self.bind.is_empty() {
            struct_ser.serialize_field("bind", &self.bind)?;
        }
        if !self.service_ports.is_empty() {
            struct_ser.serialize_field("service_ports", &self.service_ports)?;
        }
        if !self.tls.is_empty() {
            struct_ser.serialize_field("tls", &self.tls)?;
        }
        if !self.tcp.is_empty() {
            struct_ser.serialize_field("tcp", &self.tcp)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for GatewayListener {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "port",
            "protocol",
            "hosts",
            "bind",
            "service_ports",
            "servicePorts",
            "tls",
            "tcp",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Port,
            Protocol,
            Hosts,
            Bind,
            ServicePorts,
            Tls,
            Tcp,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "port" => Ok(GeneratedField::Port),
                            "protocol" => Ok(GeneratedField::Protocol),
                            "hosts" => Ok(GeneratedField::Hosts),
                            "bind" => Ok(GeneratedField::Bind),
                            "servicePorts" | "service_ports" => Ok(GeneratedField::ServicePorts),
                            "tls" => Ok(GeneratedField::Tls),
                            "tcp" => Ok(GeneratedField::Tcp),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = GatewayListener;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.GatewayListener")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<GatewayListener, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut port__ = None;
                let mut protocol__ = None;
                let mut hosts__ = None;
                let mut bind__ = None;
                let mut service_ports__ = None;
                let mut tls__ = None;
                let mut tcp__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Port => {
                            if port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("port"));
                            }
                            port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Protocol => {
                            if protocol__.is_some() {
                                return Err(serde::de::Error::duplicate_field("protocol"));
                            }
                            protocol__ = Some(map_.next_value::<Protocol>()? as i32);
                        }
                        GeneratedField::Hosts => {
                            if hosts__.is_some() {
                                return Err(serde::de::Error::duplicate_field("hosts"));
                            }
                            hosts__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Bind => {
                            if bind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("bind"));
                            }
                            bind__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ServicePorts => {
                            if service_ports__.is_some() {
                                return Err(serde::de::Error::duplicate_field("servicePorts"));
                            }
                            service_ports__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::NumberDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::Tls => {
                            if tls__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tls"));
                            }
                            tls__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Tcp => {
                            if tcp__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tcp"));
                            }
                            tcp__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(GatewayListener {
                    port: port__.unwrap_or_default(),
                    protocol: protocol__.unwrap_or_default(),
                    hosts: hosts__.unwrap_or_default(),
                    bind: bind__.unwrap_or_default(),
                    service_ports: service_ports__.unwrap_or_default(),
                    tls: tls__.unwrap_or_default(),
                    tcp: tcp__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.GatewayListener", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for GatewayTopology {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.trusted_proxies != 0 {
            len += 1;
        }
        if self.forward_client_cert != 0 {
            len += 1;
        }
        if self.proxy_protocol {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.GatewayTopology", len)?;
        if self.trusted_proxies != 0 {
            struct_ser.serialize_field("trusted_proxies", &self.trusted_proxies)?;
        }
        if self.forward_client_cert != 0 {
            let v = ForwardClientCert::try_from(self.forward_client_cert)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.forward_client_cert)))?;
            struct_ser.serialize_field("forward_client_cert", &v)?;
        }
        if self.proxy_protocol {
            struct_ser.serialize_field("proxy_protocol", &self.proxy_protocol)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for GatewayTopology {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "trusted_proxies",
            "trustedProxies",
            "forward_client_cert",
            "forwardClientCert",
            "proxy_protocol",
            "proxyProtocol",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            TrustedProxies,
            ForwardClientCert,
            ProxyProtocol,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "trustedProxies" | "trusted_proxies" => Ok(GeneratedField::TrustedProxies),
                            "forwardClientCert" | "forward_client_cert" => Ok(GeneratedField::ForwardClientCert),
                            "proxyProtocol" | "proxy_protocol" => Ok(GeneratedField::ProxyProtocol),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = GatewayTopology;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.GatewayTopology")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<GatewayTopology, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut trusted_proxies__ = None;
                let mut forward_client_cert__ = None;
                let mut proxy_protocol__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::TrustedProxies => {
                            if trusted_proxies__.is_some() {
                                return Err(serde::de::Error::duplicate_field("trustedProxies"));
                            }
                            trusted_proxies__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::ForwardClientCert => {
                            if forward_client_cert__.is_some() {
                                return Err(serde::de::Error::duplicate_field("forwardClientCert"));
                            }
                            forward_client_cert__ = Some(map_.next_value::<ForwardClientCert>()? as i32);
                        }
                        GeneratedField::ProxyProtocol => {
                            if proxy_protocol__.is_some() {
                                return Err(serde::de::Error::duplicate_field("proxyProtocol"));
                            }
                            proxy_protocol__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(GatewayTopology {
                    trusted_proxies: trusted_proxies__.unwrap_or_default(),
                    forward_client_cert: forward_client_cert__.unwrap_or_default(),
                    proxy_protocol: proxy_protocol__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.GatewayTopology", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for GrpcProbe {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.service.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.GrpcProbe", len)?;
        if !self.service.is_empty() {
            struct_ser.serialize_field("service", &self.service)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for GrpcProbe {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "service",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Service,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "service" => Ok(GeneratedField::Service),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = GrpcProbe;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.GrpcProbe")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<GrpcProbe, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut service__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Service => {
                            if service__.is_some() {
                                return Err(serde::de::Error::duplicate_field("service"));
                            }
                            service__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(GrpcProbe {
                    service: service__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.GrpcProbe", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for HashCookie {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.path.is_empty() {
            len += 1;
        }
        if self.generate {
            len += 1;
        }
        if self.ttl_seconds != 0 {
            len += 1;
        }
        if !self.attributes.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.HashCookie", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.path.is_empty() {
            struct_ser.serialize_field("path", &self.path)?;
        }
        if self.generate {
            struct_ser.serialize_field("generate", &self.generate)?;
        }
        if self.ttl_seconds != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("ttl_seconds", ToString::to_string(&self.ttl_seconds).as_str())?;
        }
        if !self.attributes.is_empty() {
            struct_ser.serialize_field("attributes", &self.attributes)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for HashCookie {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "path",
            "generate",
            "ttl_seconds",
            "ttlSeconds",
            "attributes",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Path,
            Generate,
            TtlSeconds,
            Attributes,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "path" => Ok(GeneratedField::Path),
                            "generate" => Ok(GeneratedField::Generate),
                            "ttlSeconds" | "ttl_seconds" => Ok(GeneratedField::TtlSeconds),
                            "attributes" => Ok(GeneratedField::Attributes),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = HashCookie;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.HashCookie")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<HashCookie, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut path__ = None;
                let mut generate__ = None;
                let mut ttl_seconds__ = None;
                let mut attributes__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Path => {
                            if path__.is_some() {
                                return Err(serde::de::Error::duplicate_field("path"));
                            }
                            path__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Generate => {
                            if generate__.is_some() {
                                return Err(serde::de::Error::duplicate_field("generate"));
                            }
                            generate__ = Some(map_.next_value()?);
                        }
                        GeneratedField::TtlSeconds => {
                            if ttl_seconds__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ttlSeconds"));
                            }
                            ttl_seconds__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Attributes => {
                            if attributes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("attributes"));
                            }
                            attributes__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(HashCookie {
                    name: name__.unwrap_or_default(),
                    path: path__.unwrap_or_default(),
                    generate: generate__.unwrap_or_default(),
                    ttl_seconds: ttl_seconds__.unwrap_or_default(),
                    attributes: attributes__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.HashCookie", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for HeaderEdits {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.request.is_some() {
            len += 1;
        }
        if self.response.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.HeaderEdits", len)?;
        if let Some(v) = self.request.as_ref() {
            struct_ser.serialize_field("request", v)?;
        }
        if let Some(v) = self.response.as_ref() {
            struct_ser.serialize_field("response", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for HeaderEdits {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "request",
            "response",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Request,
            Response,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "request" => Ok(GeneratedField::Request),
                            "response" => Ok(GeneratedField::Response),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = HeaderEdits;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.HeaderEdits")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<HeaderEdits, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut request__ = None;
                let mut response__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Request => {
                            if request__.is_some() {
                                return Err(serde::de::Error::duplicate_field("request"));
                            }
                            request__ = map_.next_value()?;
                        }
                        GeneratedField::Response => {
                            if response__.is_some() {
                                return Err(serde::de::Error::duplicate_field("response"));
                            }
                            response__ = map_.next_value()?;
                        }
                    }
                }
                Ok(HeaderEdits {
                    request: request__,
                    response: response__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.HeaderEdits", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for HeaderValue {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.value.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.HeaderValue", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.value.is_empty() {
            struct_ser.serialize_field("value", &self.value)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for HeaderValue {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "value",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Value,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "value" => Ok(GeneratedField::Value),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = HeaderValue;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.HeaderValue")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<HeaderValue, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut value__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Value => {
                            if value__.is_some() {
                                return Err(serde::de::Error::duplicate_field("value"));
                            }
                            value__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(HeaderValue {
                    name: name__.unwrap_or_default(),
                    value: value__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.HeaderValue", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Health {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "HEALTH_UNSPECIFIED",
            Self::Healthy => "HEALTH_HEALTHY",
            Self::Unhealthy => "HEALTH_UNHEALTHY",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for Health {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "HEALTH_UNSPECIFIED",
            "HEALTH_HEALTHY",
            "HEALTH_UNHEALTHY",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = Health;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "HEALTH_UNSPECIFIED" => Ok(Health::Unspecified),
                    "HEALTH_HEALTHY" => Ok(Health::Healthy),
                    "HEALTH_UNHEALTHY" => Ok(Health::Unhealthy),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for HealthCheck {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.policy.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        if self.interval_ms != 0 {
            len += 1;
        }
        if self.timeout_ms != 0 {
            len += 1;
        }
        if self.jitter_percent != 0 {
            len += 1;
        }
        if self.unhealthy_threshold != 0 {
            len += 1;
        }
        if self.healthy_threshold != 0 {
            len += 1;
        }
        if self.probe.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.HealthCheck", len)?;
        if !self.policy.is_empty() {
            struct_ser.serialize_field("policy", &self.policy)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        if self.interval_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("interval_ms", ToString::to_string(&self.interval_ms).as_str())?;
        }
        if self.timeout_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("timeout_ms", ToString::to_string(&self.timeout_ms).as_str())?;
        }
        if self.jitter_percent != 0 {
            struct_ser.serialize_field("jitter_percent", &self.jitter_percent)?;
        }
        if self.unhealthy_threshold != 0 {
            struct_ser.serialize_field("unhealthy_threshold", &self.unhealthy_threshold)?;
        }
        if self.healthy_threshold != 0 {
            struct_ser.serialize_field("healthy_threshold", &self.healthy_threshold)?;
        }
        if let Some(v) = self.probe.as_ref() {
            match v {
                health_check::Probe::Http(v) => {
                    struct_ser.serialize_field("http", v)?;
                }
                health_check::Probe::Grpc(v) => {
                    struct_ser.serialize_field("grpc", v)?;
                }
                health_check::Probe::Tcp(v) => {
                    struct_ser.serialize_field("tcp", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for HealthCheck {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "policy",
            "origin",
            "interval_ms",
            "intervalMs",
            "timeout_ms",
            "timeoutMs",
            "jitter_percent",
            "jitterPercent",
            "unhealthy_threshold",
            "unhealthyThreshold",
            "healthy_threshold",
            "healthyThreshold",
            "http",
            "grpc",
            "tcp",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Policy,
            Origin,
            IntervalMs,
            TimeoutMs,
            JitterPercent,
            UnhealthyThreshold,
            HealthyThreshold,
            Http,
            Grpc,
            Tcp,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "policy" => Ok(GeneratedField::Policy),
                            "origin" => Ok(GeneratedField::Origin),
                            "intervalMs" | "interval_ms" => Ok(GeneratedField::IntervalMs),
                            "timeoutMs" | "timeout_ms" => Ok(GeneratedField::TimeoutMs),
                            "jitterPercent" | "jitter_percent" => Ok(GeneratedField::JitterPercent),
                            "unhealthyThreshold" | "unhealthy_threshold" => Ok(GeneratedField::UnhealthyThreshold),
                            "healthyThreshold" | "healthy_threshold" => Ok(GeneratedField::HealthyThreshold),
                            "http" => Ok(GeneratedField::Http),
                            "grpc" => Ok(GeneratedField::Grpc),
                            "tcp" => Ok(GeneratedField::Tcp),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = HealthCheck;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.HealthCheck")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<HealthCheck, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut policy__ = None;
                let mut origin__ = None;
                let mut interval_ms__ = None;
                let mut timeout_ms__ = None;
                let mut jitter_percent__ = None;
                let mut unhealthy_threshold__ = None;
                let mut healthy_threshold__ = None;
                let mut probe__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Policy => {
                            if policy__.is_some() {
                                return Err(serde::de::Error::duplicate_field("policy"));
                            }
                            policy__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                        GeneratedField::IntervalMs => {
                            if interval_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("intervalMs"));
                            }
                            interval_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::TimeoutMs => {
                            if timeout_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("timeoutMs"));
                            }
                            timeout_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::JitterPercent => {
                            if jitter_percent__.is_some() {
                                return Err(serde::de::Error::duplicate_field("jitterPercent"));
                            }
                            jitter_percent__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::UnhealthyThreshold => {
                            if unhealthy_threshold__.is_some() {
                                return Err(serde::de::Error::duplicate_field("unhealthyThreshold"));
                            }
                            unhealthy_threshold__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::HealthyThreshold => {
                            if healthy_threshold__.is_some() {
                                return Err(serde::de::Error::duplicate_field("healthyThreshold"));
                            }
                            healthy_threshold__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Http => {
                            if probe__.is_some() {
                                return Err(serde::de::Error::duplicate_field("http"));
                            }
                            probe__ = map_.next_value::<::std::option::Option<_>>()?.map(health_check::Probe::Http)
;
                        }
                        GeneratedField::Grpc => {
                            if probe__.is_some() {
                                return Err(serde::de::Error::duplicate_field("grpc"));
                            }
                            probe__ = map_.next_value::<::std::option::Option<_>>()?.map(health_check::Probe::Grpc)
;
                        }
                        GeneratedField::Tcp => {
                            if probe__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tcp"));
                            }
                            probe__ = map_.next_value::<::std::option::Option<_>>()?.map(health_check::Probe::Tcp)
;
                        }
                    }
                }
                Ok(HealthCheck {
                    policy: policy__.unwrap_or_default(),
                    origin: origin__,
                    interval_ms: interval_ms__.unwrap_or_default(),
                    timeout_ms: timeout_ms__.unwrap_or_default(),
                    jitter_percent: jitter_percent__.unwrap_or_default(),
                    unhealthy_threshold: unhealthy_threshold__.unwrap_or_default(),
                    healthy_threshold: healthy_threshold__.unwrap_or_default(),
                    probe: probe__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.HealthCheck", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Http2Keepalive {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.interval_ms != 0 {
            len += 1;
        }
        if self.timeout_ms != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Http2Keepalive", len)?;
        if self.interval_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("interval_ms", ToString::to_string(&self.interval_ms).as_str())?;
        }
        if self.timeout_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("timeout_ms", ToString::to_string(&self.timeout_ms).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Http2Keepalive {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "interval_ms",
            "intervalMs",
            "timeout_ms",
            "timeoutMs",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            IntervalMs,
            TimeoutMs,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "intervalMs" | "interval_ms" => Ok(GeneratedField::IntervalMs),
                            "timeoutMs" | "timeout_ms" => Ok(GeneratedField::TimeoutMs),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Http2Keepalive;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Http2Keepalive")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Http2Keepalive, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut interval_ms__ = None;
                let mut timeout_ms__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::IntervalMs => {
                            if interval_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("intervalMs"));
                            }
                            interval_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::TimeoutMs => {
                            if timeout_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("timeoutMs"));
                            }
                            timeout_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Http2Keepalive {
                    interval_ms: interval_ms__.unwrap_or_default(),
                    timeout_ms: timeout_ms__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Http2Keepalive", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for HttpMatch {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if self.uri.is_some() {
            len += 1;
        }
        if self.ignore_uri_case {
            len += 1;
        }
        if self.scheme.is_some() {
            len += 1;
        }
        if self.method.is_some() {
            len += 1;
        }
        if self.authority.is_some() {
            len += 1;
        }
        if !self.headers.is_empty() {
            len += 1;
        }
        if !self.without_headers.is_empty() {
            len += 1;
        }
        if !self.query_params.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.HttpMatch", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if let Some(v) = self.uri.as_ref() {
            struct_ser.serialize_field("uri", v)?;
        }
        if self.ignore_uri_case {
            struct_ser.serialize_field("ignore_uri_case", &self.ignore_uri_case)?;
        }
        if let Some(v) = self.scheme.as_ref() {
            struct_ser.serialize_field("scheme", v)?;
        }
        if let Some(v) = self.method.as_ref() {
            struct_ser.serialize_field("method", v)?;
        }
        if let Some(v) = self.authority.as_ref() {
            struct_ser.serialize_field("authority", v)?;
        }
        if !self.headers.is_empty() {
            struct_ser.serialize_field("headers", &self.headers)?;
        }
        if !self.without_headers.is_empty() {
            struct_ser.serialize_field("without_headers", &self.without_headers)?;
        }
        if !self.query_params.is_empty() {
            struct_ser.serialize_field("query_params", &self.query_params)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for HttpMatch {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "uri",
            "ignore_uri_case",
            "ignoreUriCase",
            "scheme",
            "method",
            "authority",
            "headers",
            "without_headers",
            "withoutHeaders",
            "query_params",
            "queryParams",
            "origin",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Uri,
            IgnoreUriCase,
            Scheme,
            Method,
            Authority,
            Headers,
            WithoutHeaders,
            QueryParams,
            Origin,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "uri" => Ok(GeneratedField::Uri),
                            "ignoreUriCase" | "ignore_uri_case" => Ok(GeneratedField::IgnoreUriCase),
                            "scheme" => Ok(GeneratedField::Scheme),
                            "method" => Ok(GeneratedField::Method),
                            "authority" => Ok(GeneratedField::Authority),
                            "headers" => Ok(GeneratedField::Headers),
                            "withoutHeaders" | "without_headers" => Ok(GeneratedField::WithoutHeaders),
                            "queryParams" | "query_params" => Ok(GeneratedField::QueryParams),
                            "origin" => Ok(GeneratedField::Origin),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = HttpMatch;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.HttpMatch")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<HttpMatch, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut uri__ = None;
                let mut ignore_uri_case__ = None;
                let mut scheme__ = None;
                let mut method__ = None;
                let mut authority__ = None;
                let mut headers__ = None;
                let mut without_headers__ = None;
                let mut query_params__ = None;
                let mut origin__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Uri => {
                            if uri__.is_some() {
                                return Err(serde::de::Error::duplicate_field("uri"));
                            }
                            uri__ = map_.next_value()?;
                        }
                        GeneratedField::IgnoreUriCase => {
                            if ignore_uri_case__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ignoreUriCase"));
                            }
                            ignore_uri_case__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Scheme => {
                            if scheme__.is_some() {
                                return Err(serde::de::Error::duplicate_field("scheme"));
                            }
                            scheme__ = map_.next_value()?;
                        }
                        GeneratedField::Method => {
                            if method__.is_some() {
                                return Err(serde::de::Error::duplicate_field("method"));
                            }
                            method__ = map_.next_value()?;
                        }
                        GeneratedField::Authority => {
                            if authority__.is_some() {
                                return Err(serde::de::Error::duplicate_field("authority"));
                            }
                            authority__ = map_.next_value()?;
                        }
                        GeneratedField::Headers => {
                            if headers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("headers"));
                            }
                            headers__ = Some(map_.next_value()?);
                        }
                        GeneratedField::WithoutHeaders => {
                            if without_headers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("withoutHeaders"));
                            }
                            without_headers__ = Some(map_.next_value()?);
                        }
                        GeneratedField::QueryParams => {
                            if query_params__.is_some() {
                                return Err(serde::de::Error::duplicate_field("queryParams"));
                            }
                            query_params__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                    }
                }
                Ok(HttpMatch {
                    name: name__.unwrap_or_default(),
                    uri: uri__,
                    ignore_uri_case: ignore_uri_case__.unwrap_or_default(),
                    scheme: scheme__,
                    method: method__,
                    authority: authority__,
                    headers: headers__.unwrap_or_default(),
                    without_headers: without_headers__.unwrap_or_default(),
                    query_params: query_params__.unwrap_or_default(),
                    origin: origin__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.HttpMatch", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for HttpProbe {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.path.is_empty() {
            len += 1;
        }
        if !self.host.is_empty() {
            len += 1;
        }
        if !self.expected.is_empty() {
            len += 1;
        }
        if !self.method.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.HttpProbe", len)?;
        if !self.path.is_empty() {
            struct_ser.serialize_field("path", &self.path)?;
        }
        if !self.host.is_empty() {
            struct_ser.serialize_field("host", &self.host)?;
        }
        if !self.expected.is_empty() {
            struct_ser.serialize_field("expected", &self.expected)?;
        }
        if !self.method.is_empty() {
            struct_ser.serialize_field("method", &self.method)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for HttpProbe {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "path",
            "host",
            "expected",
            "method",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Path,
            Host,
            Expected,
            Method,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "path" => Ok(GeneratedField::Path),
                            "host" => Ok(GeneratedField::Host),
                            "expected" => Ok(GeneratedField::Expected),
                            "method" => Ok(GeneratedField::Method),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = HttpProbe;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.HttpProbe")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<HttpProbe, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut path__ = None;
                let mut host__ = None;
                let mut expected__ = None;
                let mut method__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Path => {
                            if path__.is_some() {
                                return Err(serde::de::Error::duplicate_field("path"));
                            }
                            path__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Host => {
                            if host__.is_some() {
                                return Err(serde::de::Error::duplicate_field("host"));
                            }
                            host__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Expected => {
                            if expected__.is_some() {
                                return Err(serde::de::Error::duplicate_field("expected"));
                            }
                            expected__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Method => {
                            if method__.is_some() {
                                return Err(serde::de::Error::duplicate_field("method"));
                            }
                            method__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(HttpProbe {
                    path: path__.unwrap_or_default(),
                    host: host__.unwrap_or_default(),
                    expected: expected__.unwrap_or_default(),
                    method: method__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.HttpProbe", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for HttpRoute {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        if !self.matches.is_empty() {
            len += 1;
        }
        if self.fault.is_some() {
            len += 1;
        }
        if self.cors.is_some() {
            len += 1;
        }
        if self.headers.is_some() {
            len += 1;
        }
        if !self.rate_limits.is_empty() {
            len += 1;
        }
        if self.action.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.HttpRoute", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        if !self.matches.is_empty() {
            struct_ser.serialize_field("matches", &self.matches)?;
        }
        if let Some(v) = self.fault.as_ref() {
            struct_ser.serialize_field("fault", v)?;
        }
        if let Some(v) = self.cors.as_ref() {
            struct_ser.serialize_field("cors", v)?;
        }
        if let Some(v) = self.headers.as_ref() {
            struct_ser.serialize_field("headers", v)?;
        }
        if !self.rate_limits.is_empty() {
            struct_ser.serialize_field("rate_limits", &self.rate_limits)?;
        }
        if let Some(v) = self.action.as_ref() {
            match v {
                http_route::Action::Forward(v) => {
                    struct_ser.serialize_field("forward", v)?;
                }
                http_route::Action::Redirect(v) => {
                    struct_ser.serialize_field("redirect", v)?;
                }
                http_route::Action::Direct(v) => {
                    struct_ser.serialize_field("direct", v)?;
                }
                http_route::Action::Invalid(v) => {
                    struct_ser.serialize_field("invalid", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for HttpRoute {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "origin",
            "matches",
            "fault",
            "cors",
            "headers",
            "rate_limits",
            "rateLimits",
            "forward",
            "redirect",
            "direct",
            "invalid",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Origin,
            Matches,
            Fault,
            Cors,
            Headers,
            RateLimits,
            Forward,
            Redirect,
            Direct,
            Invalid,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "origin" => Ok(GeneratedField::Origin),
                            "matches" => Ok(GeneratedField::Matches),
                            "fault" => Ok(GeneratedField::Fault),
                            "cors" => Ok(GeneratedField::Cors),
                            "headers" => Ok(GeneratedField::Headers),
                            "rateLimits" | "rate_limits" => Ok(GeneratedField::RateLimits),
                            "forward" => Ok(GeneratedField::Forward),
                            "redirect" => Ok(GeneratedField::Redirect),
                            "direct" => Ok(GeneratedField::Direct),
                            "invalid" => Ok(GeneratedField::Invalid),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = HttpRoute;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.HttpRoute")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<HttpRoute, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut origin__ = None;
                let mut matches__ = None;
                let mut fault__ = None;
                let mut cors__ = None;
                let mut headers__ = None;
                let mut rate_limits__ = None;
                let mut action__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                        GeneratedField::Matches => {
                            if matches__.is_some() {
                                return Err(serde::de::Error::duplicate_field("matches"));
                            }
                            matches__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Fault => {
                            if fault__.is_some() {
                                return Err(serde::de::Error::duplicate_field("fault"));
                            }
                            fault__ = map_.next_value()?;
                        }
                        GeneratedField::Cors => {
                            if cors__.is_some() {
                                return Err(serde::de::Error::duplicate_field("cors"));
                            }
                            cors__ = map_.next_value()?;
                        }
                        GeneratedField::Headers => {
                            if headers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("headers"));
                            }
                            headers__ = map_.next_value()?;
                        }
                        GeneratedField::RateLimits => {
                            if rate_limits__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rateLimits"));
                            }
                            rate_limits__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Forward => {
                            if action__.is_some() {
                                return Err(serde::de::Error::duplicate_field("forward"));
                            }
                            action__ = map_.next_value::<::std::option::Option<_>>()?.map(http_route::Action::Forward)
;
                        }
                        GeneratedField::Redirect => {
                            if action__.is_some() {
                                return Err(serde::de::Error::duplicate_field("redirect"));
                            }
                            action__ = map_.next_value::<::std::option::Option<_>>()?.map(http_route::Action::Redirect)
;
                        }
                        GeneratedField::Direct => {
                            if action__.is_some() {
                                return Err(serde::de::Error::duplicate_field("direct"));
                            }
                            action__ = map_.next_value::<::std::option::Option<_>>()?.map(http_route::Action::Direct)
;
                        }
                        GeneratedField::Invalid => {
                            if action__.is_some() {
                                return Err(serde::de::Error::duplicate_field("invalid"));
                            }
                            action__ = map_.next_value::<::std::option::Option<_>>()?.map(http_route::Action::Invalid)
;
                        }
                    }
                }
                Ok(HttpRoute {
                    name: name__.unwrap_or_default(),
                    origin: origin__,
                    matches: matches__.unwrap_or_default(),
                    fault: fault__,
                    cors: cors__,
                    headers: headers__,
                    rate_limits: rate_limits__.unwrap_or_default(),
                    action: action__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.HttpRoute", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for IdentityReport {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.trusted_roots.is_empty() {
            len += 1;
        }
        if !self.vouching_roots.is_empty() {
            len += 1;
        }
        if !self.serial.is_empty() {
            len += 1;
        }
        if self.not_after != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.IdentityReport", len)?;
        if !self.trusted_roots.is_empty() {
            struct_ser.serialize_field("trusted_roots", &self.trusted_roots.iter().map(pbjson::private::base64::encode).collect::<Vec<_>>())?;
        }
        if !self.vouching_roots.is_empty() {
            struct_ser.serialize_field("vouching_roots", &self.vouching_roots.iter().map(pbjson::private::base64::encode).collect::<Vec<_>>())?;
        }
        if !self.serial.is_empty() {
            struct_ser.serialize_field("serial", &self.serial)?;
        }
        if self.not_after != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("not_after", ToString::to_string(&self.not_after).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for IdentityReport {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "trusted_roots",
            "trustedRoots",
            "vouching_roots",
            "vouchingRoots",
            "serial",
            "not_after",
            "notAfter",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            TrustedRoots,
            VouchingRoots,
            Serial,
            NotAfter,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "trustedRoots" | "trusted_roots" => Ok(GeneratedField::TrustedRoots),
                            "vouchingRoots" | "vouching_roots" => Ok(GeneratedField::VouchingRoots),
                            "serial" => Ok(GeneratedField::Serial),
                            "notAfter" | "not_after" => Ok(GeneratedField::NotAfter),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = IdentityReport;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.IdentityReport")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<IdentityReport, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut trusted_roots__ = None;
                let mut vouching_roots__ = None;
                let mut serial__ = None;
                let mut not_after__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::TrustedRoots => {
                            if trusted_roots__.is_some() {
                                return Err(serde::de::Error::duplicate_field("trustedRoots"));
                            }
                            trusted_roots__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::BytesDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::VouchingRoots => {
                            if vouching_roots__.is_some() {
                                return Err(serde::de::Error::duplicate_field("vouchingRoots"));
                            }
                            vouching_roots__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::BytesDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::Serial => {
                            if serial__.is_some() {
                                return Err(serde::de::Error::duplicate_field("serial"));
                            }
                            serial__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotAfter => {
                            if not_after__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notAfter"));
                            }
                            not_after__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(IdentityReport {
                    trusted_roots: trusted_roots__.unwrap_or_default(),
                    vouching_roots: vouching_roots__.unwrap_or_default(),
                    serial: serial__.unwrap_or_default(),
                    not_after: not_after__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.IdentityReport", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Inbound {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.workload.is_empty() {
            len += 1;
        }
        if !self.identity.is_empty() {
            len += 1;
        }
        if !self.ports.is_empty() {
            len += 1;
        }
        if self.default_mtls != 0 {
            len += 1;
        }
        if self.mtls_origin.is_some() {
            len += 1;
        }
        if !self.policies.is_empty() {
            len += 1;
        }
        if !self.labels.is_empty() {
            len += 1;
        }
        if self.place.is_some() {
            len += 1;
        }
        if self.admission.is_some() {
            len += 1;
        }
        if !self.request_authentications.is_empty() {
            len += 1;
        }
        if !self.external_authorizers.is_empty() {
            len += 1;
        }
        if !self.egress.is_empty() {
            len += 1;
        }
        if self.telemetry.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Inbound", len)?;
        if !self.workload.is_empty() {
            struct_ser.serialize_field("workload", &self.workload)?;
        }
        if !self.identity.is_empty() {
            struct_ser.serialize_field("identity", &self.identity)?;
        }
        if !self.ports.is_empty() {
            struct_ser.serialize_field("ports", &self.ports)?;
        }
        if self.default_mtls != 0 {
            let v = MtlsMode::try_from(self.default_mtls)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.default_mtls)))?;
            struct_ser.serialize_field("default_mtls", &v)?;
        }
        if let Some(v) = self.mtls_origin.as_ref() {
            struct_ser.serialize_field("mtls_origin", v)?;
        }
        if !self.policies.is_empty() {
            struct_ser.serialize_field("policies", &self.policies)?;
        }
        if !self.labels.is_empty() {
            struct_ser.serialize_field("labels", &self.labels)?;
        }
        if let Some(v) = self.place.as_ref() {
            struct_ser.serialize_field("place", v)?;
        }
        if let Some(v) = self.admission.as_ref() {
            struct_ser.serialize_field("admission", v)?;
        }
        if !self.request_authentications.is_empty() {
            struct_ser.serialize_field("request_authentications", &self.request_authentications)?;
        }
        if !self.external_authorizers.is_empty() {
            struct_ser.serialize_field("external_authorizers", &self.external_authorizers)?;
        }
        if !self.egress.is_empty() {
            struct_ser.serialize_field("egress", &self.egress)?;
        }
        if let Some(v) = self.telemetry.as_ref() {
            struct_ser.serialize_field("telemetry", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Inbound {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "workload",
            "identity",
            "ports",
            "default_mtls",
            "defaultMtls",
            "mtls_origin",
            "mtlsOrigin",
            "policies",
            "labels",
            "place",
            "admission",
            "request_authentications",
            "requestAuthentications",
            "external_authorizers",
            "externalAuthorizers",
            "egress",
            "telemetry",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Workload,
            Identity,
            Ports,
            DefaultMtls,
            MtlsOrigin,
            Policies,
            Labels,
            Place,
            Admission,
            RequestAuthentications,
            ExternalAuthorizers,
            Egress,
            Telemetry,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "workload" => Ok(GeneratedField::Workload),
                            "identity" => Ok(GeneratedField::Identity),
                            "ports" => Ok(GeneratedField::Ports),
                            "defaultMtls" | "default_mtls" => Ok(GeneratedField::DefaultMtls),
                            "mtlsOrigin" | "mtls_origin" => Ok(GeneratedField::MtlsOrigin),
                            "policies" => Ok(GeneratedField::Policies),
                            "labels" => Ok(GeneratedField::Labels),
                            "place" => Ok(GeneratedField::Place),
                            "admission" => Ok(GeneratedField::Admission),
                            "requestAuthentications" | "request_authentications" => Ok(GeneratedField::RequestAuthentications),
                            "externalAuthorizers" | "external_authorizers" => Ok(GeneratedField::ExternalAuthorizers),
                            "egress" => Ok(GeneratedField::Egress),
                            "telemetry" => Ok(GeneratedField::Telemetry),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Inbound;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Inbound")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Inbound, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut workload__ = None;
                let mut identity__ = None;
                let mut ports__ = None;
                let mut default_mtls__ = None;
                let mut mtls_origin__ = None;
                let mut policies__ = None;
                let mut labels__ = None;
                let mut place__ = None;
                let mut admission__ = None;
                let mut request_authentications__ = None;
                let mut external_authorizers__ = None;
                let mut egress__ = None;
                let mut telemetry__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Workload => {
                            if workload__.is_some() {
                                return Err(serde::de::Error::duplicate_field("workload"));
                            }
                            workload__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Identity => {
                            if identity__.is_some() {
                                return Err(serde::de::Error::duplicate_field("identity"));
                            }
                            identity__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Ports => {
                            if ports__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ports"));
                            }
                            ports__ = Some(map_.next_value()?);
                        }
                        GeneratedField::DefaultMtls => {
                            if default_mtls__.is_some() {
                                return Err(serde::de::Error::duplicate_field("defaultMtls"));
                            }
                            default_mtls__ = Some(map_.next_value::<MtlsMode>()? as i32);
                        }
                        GeneratedField::MtlsOrigin => {
                            if mtls_origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("mtlsOrigin"));
                            }
                            mtls_origin__ = map_.next_value()?;
                        }
                        GeneratedField::Policies => {
                            if policies__.is_some() {
                                return Err(serde::de::Error::duplicate_field("policies"));
                            }
                            policies__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Labels => {
                            if labels__.is_some() {
                                return Err(serde::de::Error::duplicate_field("labels"));
                            }
                            labels__ = Some(
                                map_.next_value::<std::collections::BTreeMap<_, _>>()?
                            );
                        }
                        GeneratedField::Place => {
                            if place__.is_some() {
                                return Err(serde::de::Error::duplicate_field("place"));
                            }
                            place__ = map_.next_value()?;
                        }
                        GeneratedField::Admission => {
                            if admission__.is_some() {
                                return Err(serde::de::Error::duplicate_field("admission"));
                            }
                            admission__ = map_.next_value()?;
                        }
                        GeneratedField::RequestAuthentications => {
                            if request_authentications__.is_some() {
                                return Err(serde::de::Error::duplicate_field("requestAuthentications"));
                            }
                            request_authentications__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ExternalAuthorizers => {
                            if external_authorizers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("externalAuthorizers"));
                            }
                            external_authorizers__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Egress => {
                            if egress__.is_some() {
                                return Err(serde::de::Error::duplicate_field("egress"));
                            }
                            egress__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Telemetry => {
                            if telemetry__.is_some() {
                                return Err(serde::de::Error::duplicate_field("telemetry"));
                            }
                            telemetry__ = map_.next_value()?;
                        }
                    }
                }
                Ok(Inbound {
                    workload: workload__.unwrap_or_default(),
                    identity: identity__.unwrap_or_default(),
                    ports: ports__.unwrap_or_default(),
                    default_mtls: default_mtls__.unwrap_or_default(),
                    mtls_origin: mtls_origin__,
                    policies: policies__.unwrap_or_default(),
                    labels: labels__.unwrap_or_default(),
                    place: place__,
                    admission: admission__,
                    request_authentications: request_authentications__.unwrap_or_default(),
                    external_authorizers: external_authorizers__.unwrap_or_default(),
                    egress: egress__.unwrap_or_default(),
                    telemetry: telemetry__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Inbound", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for InboundListener {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.bind.is_empty() {
            len += 1;
        }
        if self.always {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.InboundListener", len)?;
        if !self.bind.is_empty() {
            struct_ser.serialize_field("bind", &self.bind)?;
        }
        if self.always {
            struct_ser.serialize_field("always", &self.always)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for InboundListener {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "bind",
            "always",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Bind,
            Always,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "bind" => Ok(GeneratedField::Bind),
                            "always" => Ok(GeneratedField::Always),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = InboundListener;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.InboundListener")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<InboundListener, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut bind__ = None;
                let mut always__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Bind => {
                            if bind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("bind"));
                            }
                            bind__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Always => {
                            if always__.is_some() {
                                return Err(serde::de::Error::duplicate_field("always"));
                            }
                            always__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(InboundListener {
                    bind: bind__.unwrap_or_default(),
                    always: always__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.InboundListener", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for InboundPort {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.port != 0 {
            len += 1;
        }
        if self.protocol != 0 {
            len += 1;
        }
        if self.mtls != 0 {
            len += 1;
        }
        if self.mtls_origin.is_some() {
            len += 1;
        }
        if !self.service.is_empty() {
            len += 1;
        }
        if self.service_port != 0 {
            len += 1;
        }
        if self.endpoint.is_some() {
            len += 1;
        }
        if self.listener.is_some() {
            len += 1;
        }
        if self.tls.is_some() {
            len += 1;
        }
        if self.connection_pool.is_some() {
            len += 1;
        }
        if self.connect_timeout_ms != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.InboundPort", len)?;
        if self.port != 0 {
            struct_ser.serialize_field("port", &self.port)?;
        }
        if self.protocol != 0 {
            let v = Protocol::try_from(self.protocol)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.protocol)))?;
            struct_ser.serialize_field("protocol", &v)?;
        }
        if self.mtls != 0 {
            let v = MtlsMode::try_from(self.mtls)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.mtls)))?;
            struct_ser.serialize_field("mtls", &v)?;
        }
        if let Some(v) = self.mtls_origin.as_ref() {
            struct_ser.serialize_field("mtls_origin", v)?;
        }
        if !self.service.is_empty() {
            struct_ser.serialize_field("service", &self.service)?;
        }
        if self.service_port != 0 {
            struct_ser.serialize_field("service_port", &self.service_port)?;
        }
        if let Some(v) = self.endpoint.as_ref() {
            struct_ser.serialize_field("endpoint", v)?;
        }
        if let Some(v) = self.listener.as_ref() {
            struct_ser.serialize_field("listener", v)?;
        }
        if let Some(v) = self.tls.as_ref() {
            struct_ser.serialize_field("tls", v)?;
        }
        if let Some(v) = self.connection_pool.as_ref() {
            struct_ser.serialize_field("connection_pool", v)?;
        }
        if self.connect_timeout_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("connect_timeout_ms", ToString::to_string(&self.connect_timeout_ms).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for InboundPort {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "port",
            "protocol",
            "mtls",
            "mtls_origin",
            "mtlsOrigin",
            "service",
            "service_port",
            "servicePort",
            "endpoint",
            "listener",
            "tls",
            "connection_pool",
            "connectionPool",
            "connect_timeout_ms",
            "connectTimeoutMs",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Port,
            Protocol,
            Mtls,
            MtlsOrigin,
            Service,
            ServicePort,
            Endpoint,
            Listener,
            Tls,
            ConnectionPool,
            ConnectTimeoutMs,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "port" => Ok(GeneratedField::Port),
                            "protocol" => Ok(GeneratedField::Protocol),
                            "mtls" => Ok(GeneratedField::Mtls),
                            "mtlsOrigin" | "mtls_origin" => Ok(GeneratedField::MtlsOrigin),
                            "service" => Ok(GeneratedField::Service),
                            "servicePort" | "service_port" => Ok(GeneratedField::ServicePort),
                            "endpoint" => Ok(GeneratedField::Endpoint),
                            "listener" => Ok(GeneratedField::Listener),
                            "tls" => Ok(GeneratedField::Tls),
                            "connectionPool" | "connection_pool" => Ok(GeneratedField::ConnectionPool),
                            "connectTimeoutMs" | "connect_timeout_ms" => Ok(GeneratedField::ConnectTimeoutMs),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = InboundPort;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.InboundPort")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<InboundPort, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut port__ = None;
                let mut protocol__ = None;
                let mut mtls__ = None;
                let mut mtls_origin__ = None;
                let mut service__ = None;
                let mut service_port__ = None;
                let mut endpoint__ = None;
                let mut listener__ = None;
                let mut tls__ = None;
                let mut connection_pool__ = None;
                let mut connect_timeout_ms__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Port => {
                            if port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("port"));
                            }
                            port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Protocol => {
                            if protocol__.is_some() {
                                return Err(serde::de::Error::duplicate_field("protocol"));
                            }
                            protocol__ = Some(map_.next_value::<Protocol>()? as i32);
                        }
                        GeneratedField::Mtls => {
                            if mtls__.is_some() {
                                return Err(serde::de::Error::duplicate_field("mtls"));
                            }
                            mtls__ = Some(map_.next_value::<MtlsMode>()? as i32);
                        }
                        GeneratedField::MtlsOrigin => {
                            if mtls_origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("mtlsOrigin"));
                            }
                            mtls_origin__ = map_.next_value()?;
                        }
                        GeneratedField::Service => {
                            if service__.is_some() {
                                return Err(serde::de::Error::duplicate_field("service"));
                            }
                            service__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ServicePort => {
                            if service_port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("servicePort"));
                            }
                            service_port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Endpoint => {
                            if endpoint__.is_some() {
                                return Err(serde::de::Error::duplicate_field("endpoint"));
                            }
                            endpoint__ = map_.next_value()?;
                        }
                        GeneratedField::Listener => {
                            if listener__.is_some() {
                                return Err(serde::de::Error::duplicate_field("listener"));
                            }
                            listener__ = map_.next_value()?;
                        }
                        GeneratedField::Tls => {
                            if tls__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tls"));
                            }
                            tls__ = map_.next_value()?;
                        }
                        GeneratedField::ConnectionPool => {
                            if connection_pool__.is_some() {
                                return Err(serde::de::Error::duplicate_field("connectionPool"));
                            }
                            connection_pool__ = map_.next_value()?;
                        }
                        GeneratedField::ConnectTimeoutMs => {
                            if connect_timeout_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("connectTimeoutMs"));
                            }
                            connect_timeout_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(InboundPort {
                    port: port__.unwrap_or_default(),
                    protocol: protocol__.unwrap_or_default(),
                    mtls: mtls__.unwrap_or_default(),
                    mtls_origin: mtls_origin__,
                    service: service__.unwrap_or_default(),
                    service_port: service_port__.unwrap_or_default(),
                    endpoint: endpoint__,
                    listener: listener__,
                    tls: tls__,
                    connection_pool: connection_pool__,
                    connect_timeout_ms: connect_timeout_ms__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.InboundPort", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for InvalidAction {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.status != 0 {
            len += 1;
        }
        if !self.message.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.InvalidAction", len)?;
        if self.status != 0 {
            struct_ser.serialize_field("status", &self.status)?;
        }
        if !self.message.is_empty() {
            struct_ser.serialize_field("message", &self.message)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for InvalidAction {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "status",
            "message",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Status,
            Message,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "status" => Ok(GeneratedField::Status),
                            "message" => Ok(GeneratedField::Message),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = InvalidAction;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.InvalidAction")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<InvalidAction, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut status__ = None;
                let mut message__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Status => {
                            if status__.is_some() {
                                return Err(serde::de::Error::duplicate_field("status"));
                            }
                            status__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Message => {
                            if message__.is_some() {
                                return Err(serde::de::Error::duplicate_field("message"));
                            }
                            message__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(InvalidAction {
                    status: status__.unwrap_or_default(),
                    message: message__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.InvalidAction", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for InvalidShare {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.weight != 0 {
            len += 1;
        }
        if self.action.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.InvalidShare", len)?;
        if self.weight != 0 {
            struct_ser.serialize_field("weight", &self.weight)?;
        }
        if let Some(v) = self.action.as_ref() {
            struct_ser.serialize_field("action", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for InvalidShare {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "weight",
            "action",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Weight,
            Action,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "weight" => Ok(GeneratedField::Weight),
                            "action" => Ok(GeneratedField::Action),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = InvalidShare;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.InvalidShare")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<InvalidShare, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut weight__ = None;
                let mut action__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Weight => {
                            if weight__.is_some() {
                                return Err(serde::de::Error::duplicate_field("weight"));
                            }
                            weight__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Action => {
                            if action__.is_some() {
                                return Err(serde::de::Error::duplicate_field("action"));
                            }
                            action__ = map_.next_value()?;
                        }
                    }
                }
                Ok(InvalidShare {
                    weight: weight__.unwrap_or_default(),
                    action: action__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.InvalidShare", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for JwtClaimHeader {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.header.is_empty() {
            len += 1;
        }
        if !self.claim.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.JwtClaimHeader", len)?;
        if !self.header.is_empty() {
            struct_ser.serialize_field("header", &self.header)?;
        }
        if !self.claim.is_empty() {
            struct_ser.serialize_field("claim", &self.claim)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for JwtClaimHeader {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "header",
            "claim",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Header,
            Claim,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "header" => Ok(GeneratedField::Header),
                            "claim" => Ok(GeneratedField::Claim),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = JwtClaimHeader;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.JwtClaimHeader")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<JwtClaimHeader, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut header__ = None;
                let mut claim__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Header => {
                            if header__.is_some() {
                                return Err(serde::de::Error::duplicate_field("header"));
                            }
                            header__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Claim => {
                            if claim__.is_some() {
                                return Err(serde::de::Error::duplicate_field("claim"));
                            }
                            claim__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(JwtClaimHeader {
                    header: header__.unwrap_or_default(),
                    claim: claim__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.JwtClaimHeader", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for JwtHeader {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.prefix.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.JwtHeader", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.prefix.is_empty() {
            struct_ser.serialize_field("prefix", &self.prefix)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for JwtHeader {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "prefix",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Prefix,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "prefix" => Ok(GeneratedField::Prefix),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = JwtHeader;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.JwtHeader")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<JwtHeader, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut prefix__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Prefix => {
                            if prefix__.is_some() {
                                return Err(serde::de::Error::duplicate_field("prefix"));
                            }
                            prefix__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(JwtHeader {
                    name: name__.unwrap_or_default(),
                    prefix: prefix__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.JwtHeader", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for JwtRule {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.issuer.is_empty() {
            len += 1;
        }
        if !self.audiences.is_empty() {
            len += 1;
        }
        if !self.jwks.is_empty() {
            len += 1;
        }
        if !self.from_headers.is_empty() {
            len += 1;
        }
        if !self.from_params.is_empty() {
            len += 1;
        }
        if !self.from_cookies.is_empty() {
            len += 1;
        }
        if self.forward_original_token {
            len += 1;
        }
        if !self.output_payload_to_header.is_empty() {
            len += 1;
        }
        if !self.output_claim_to_headers.is_empty() {
            len += 1;
        }
        if !self.space_delimited_claims.is_empty() {
            len += 1;
        }
        if !self.unavailable.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.JwtRule", len)?;
        if !self.issuer.is_empty() {
            struct_ser.serialize_field("issuer", &self.issuer)?;
        }
        if !self.audiences.is_empty() {
            struct_ser.serialize_field("audiences", &self.audiences)?;
        }
        if !self.jwks.is_empty() {
            struct_ser.serialize_field("jwks", &self.jwks)?;
        }
        if !self.from_headers.is_empty() {
            struct_ser.serialize_field("from_headers", &self.from_headers)?;
        }
        if !self.from_params.is_empty() {
            struct_ser.serialize_field("from_params", &self.from_params)?;
        }
        if !self.from_cookies.is_empty() {
            struct_ser.serialize_field("from_cookies", &self.from_cookies)?;
        }
        if self.forward_original_token {
            struct_ser.serialize_field("forward_original_token", &self.forward_original_token)?;
        }
        if !self.output_payload_to_header.is_empty() {
            struct_ser.serialize_field("output_payload_to_header", &self.output_payload_to_header)?;
        }
        if !self.output_claim_to_headers.is_empty() {
            struct_ser.serialize_field("output_claim_to_headers", &self.output_claim_to_headers)?;
        }
        if !self.space_delimited_claims.is_empty() {
            struct_ser.serialize_field("space_delimited_claims", &self.space_delimited_claims)?;
        }
        if !self.unavailable.is_empty() {
            struct_ser.serialize_field("unavailable", &self.unavailable)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for JwtRule {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "issuer",
            "audiences",
            "jwks",
            "from_headers",
            "fromHeaders",
            "from_params",
            "fromParams",
            "from_cookies",
            "fromCookies",
            "forward_original_token",
            "forwardOriginalToken",
            "output_payload_to_header",
            "outputPayloadToHeader",
            "output_claim_to_headers",
            "outputClaimToHeaders",
            "space_delimited_claims",
            "spaceDelimitedClaims",
            "unavailable",
            "origin",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Issuer,
            Audiences,
            Jwks,
            FromHeaders,
            FromParams,
            FromCookies,
            ForwardOriginalToken,
            OutputPayloadToHeader,
            OutputClaimToHeaders,
            SpaceDelimitedClaims,
            Unavailable,
            Origin,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "issuer" => Ok(GeneratedField::Issuer),
                            "audiences" => Ok(GeneratedField::Audiences),
                            "jwks" => Ok(GeneratedField::Jwks),
                            "fromHeaders" | "from_headers" => Ok(GeneratedField::FromHeaders),
                            "fromParams" | "from_params" => Ok(GeneratedField::FromParams),
                            "fromCookies" | "from_cookies" => Ok(GeneratedField::FromCookies),
                            "forwardOriginalToken" | "forward_original_token" => Ok(GeneratedField::ForwardOriginalToken),
                            "outputPayloadToHeader" | "output_payload_to_header" => Ok(GeneratedField::OutputPayloadToHeader),
                            "outputClaimToHeaders" | "output_claim_to_headers" => Ok(GeneratedField::OutputClaimToHeaders),
                            "spaceDelimitedClaims" | "space_delimited_claims" => Ok(GeneratedField::SpaceDelimitedClaims),
                            "unavailable" => Ok(GeneratedField::Unavailable),
                            "origin" => Ok(GeneratedField::Origin),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = JwtRule;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.JwtRule")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<JwtRule, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut issuer__ = None;
                let mut audiences__ = None;
                let mut jwks__ = None;
                let mut from_headers__ = None;
                let mut from_params__ = None;
                let mut from_cookies__ = None;
                let mut forward_original_token__ = None;
                let mut output_payload_to_header__ = None;
                let mut output_claim_to_headers__ = None;
                let mut space_delimited_claims__ = None;
                let mut unavailable__ = None;
                let mut origin__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Issuer => {
                            if issuer__.is_some() {
                                return Err(serde::de::Error::duplicate_field("issuer"));
                            }
                            issuer__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Audiences => {
                            if audiences__.is_some() {
                                return Err(serde::de::Error::duplicate_field("audiences"));
                            }
                            audiences__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Jwks => {
                            if jwks__.is_some() {
                                return Err(serde::de::Error::duplicate_field("jwks"));
                            }
                            jwks__ = Some(map_.next_value()?);
                        }
                        GeneratedField::FromHeaders => {
                            if from_headers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("fromHeaders"));
                            }
                            from_headers__ = Some(map_.next_value()?);
                        }
                        GeneratedField::FromParams => {
                            if from_params__.is_some() {
                                return Err(serde::de::Error::duplicate_field("fromParams"));
                            }
                            from_params__ = Some(map_.next_value()?);
                        }
                        GeneratedField::FromCookies => {
                            if from_cookies__.is_some() {
                                return Err(serde::de::Error::duplicate_field("fromCookies"));
                            }
                            from_cookies__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ForwardOriginalToken => {
                            if forward_original_token__.is_some() {
                                return Err(serde::de::Error::duplicate_field("forwardOriginalToken"));
                            }
                            forward_original_token__ = Some(map_.next_value()?);
                        }
                        GeneratedField::OutputPayloadToHeader => {
                            if output_payload_to_header__.is_some() {
                                return Err(serde::de::Error::duplicate_field("outputPayloadToHeader"));
                            }
                            output_payload_to_header__ = Some(map_.next_value()?);
                        }
                        GeneratedField::OutputClaimToHeaders => {
                            if output_claim_to_headers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("outputClaimToHeaders"));
                            }
                            output_claim_to_headers__ = Some(map_.next_value()?);
                        }
                        GeneratedField::SpaceDelimitedClaims => {
                            if space_delimited_claims__.is_some() {
                                return Err(serde::de::Error::duplicate_field("spaceDelimitedClaims"));
                            }
                            space_delimited_claims__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Unavailable => {
                            if unavailable__.is_some() {
                                return Err(serde::de::Error::duplicate_field("unavailable"));
                            }
                            unavailable__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                    }
                }
                Ok(JwtRule {
                    issuer: issuer__.unwrap_or_default(),
                    audiences: audiences__.unwrap_or_default(),
                    jwks: jwks__.unwrap_or_default(),
                    from_headers: from_headers__.unwrap_or_default(),
                    from_params: from_params__.unwrap_or_default(),
                    from_cookies: from_cookies__.unwrap_or_default(),
                    forward_original_token: forward_original_token__.unwrap_or_default(),
                    output_payload_to_header: output_payload_to_header__.unwrap_or_default(),
                    output_claim_to_headers: output_claim_to_headers__.unwrap_or_default(),
                    space_delimited_claims: space_delimited_claims__.unwrap_or_default(),
                    unavailable: unavailable__.unwrap_or_default(),
                    origin: origin__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.JwtRule", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for LoadBalancer {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "LOAD_BALANCER_UNSPECIFIED",
            Self::LeastRequest => "LOAD_BALANCER_LEAST_REQUEST",
            Self::RoundRobin => "LOAD_BALANCER_ROUND_ROBIN",
            Self::Random => "LOAD_BALANCER_RANDOM",
            Self::Passthrough => "LOAD_BALANCER_PASSTHROUGH",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for LoadBalancer {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "LOAD_BALANCER_UNSPECIFIED",
            "LOAD_BALANCER_LEAST_REQUEST",
            "LOAD_BALANCER_ROUND_ROBIN",
            "LOAD_BALANCER_RANDOM",
            "LOAD_BALANCER_PASSTHROUGH",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = LoadBalancer;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "LOAD_BALANCER_UNSPECIFIED" => Ok(LoadBalancer::Unspecified),
                    "LOAD_BALANCER_LEAST_REQUEST" => Ok(LoadBalancer::LeastRequest),
                    "LOAD_BALANCER_ROUND_ROBIN" => Ok(LoadBalancer::RoundRobin),
                    "LOAD_BALANCER_RANDOM" => Ok(LoadBalancer::Random),
                    "LOAD_BALANCER_PASSTHROUGH" => Ok(LoadBalancer::Passthrough),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for LocalityBalancing {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.distribute.is_empty() {
            len += 1;
        }
        if !self.failover.is_empty() {
            len += 1;
        }
        if !self.failover_priority.is_empty() {
            len += 1;
        }
        if self.zone_aware.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.LocalityBalancing", len)?;
        if !self.distribute.is_empty() {
            struct_ser.serialize_field("distribute", &self.distribute)?;
        }
        if !self.failover.is_empty() {
            struct_ser.serialize_field("failover", &self.failover)?;
        }
        if !self.failover_priority.is_empty() {
            struct_ser.serialize_field("failover_priority", &self.failover_priority)?;
        }
        if let Some(v) = self.zone_aware.as_ref() {
            struct_ser.serialize_field("zone_aware", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for LocalityBalancing {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "distribute",
            "failover",
            "failover_priority",
            "failoverPriority",
            "zone_aware",
            "zoneAware",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Distribute,
            Failover,
            FailoverPriority,
            ZoneAware,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "distribute" => Ok(GeneratedField::Distribute),
                            "failover" => Ok(GeneratedField::Failover),
                            "failoverPriority" | "failover_priority" => Ok(GeneratedField::FailoverPriority),
                            "zoneAware" | "zone_aware" => Ok(GeneratedField::ZoneAware),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = LocalityBalancing;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.LocalityBalancing")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<LocalityBalancing, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut distribute__ = None;
                let mut failover__ = None;
                let mut failover_priority__ = None;
                let mut zone_aware__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Distribute => {
                            if distribute__.is_some() {
                                return Err(serde::de::Error::duplicate_field("distribute"));
                            }
                            distribute__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Failover => {
                            if failover__.is_some() {
                                return Err(serde::de::Error::duplicate_field("failover"));
                            }
                            failover__ = Some(map_.next_value()?);
                        }
                        GeneratedField::FailoverPriority => {
                            if failover_priority__.is_some() {
                                return Err(serde::de::Error::duplicate_field("failoverPriority"));
                            }
                            failover_priority__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ZoneAware => {
                            if zone_aware__.is_some() {
                                return Err(serde::de::Error::duplicate_field("zoneAware"));
                            }
                            zone_aware__ = map_.next_value()?;
                        }
                    }
                }
                Ok(LocalityBalancing {
                    distribute: distribute__.unwrap_or_default(),
                    failover: failover__.unwrap_or_default(),
                    failover_priority: failover_priority__.unwrap_or_default(),
                    zone_aware: zone_aware__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.LocalityBalancing", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for LocalityShare {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.locality.is_empty() {
            len += 1;
        }
        if self.percent != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.LocalityShare", len)?;
        if !self.locality.is_empty() {
            struct_ser.serialize_field("locality", &self.locality)?;
        }
        if self.percent != 0 {
            struct_ser.serialize_field("percent", &self.percent)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for LocalityShare {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "locality",
            "percent",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Locality,
            Percent,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "locality" => Ok(GeneratedField::Locality),
                            "percent" => Ok(GeneratedField::Percent),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = LocalityShare;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.LocalityShare")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<LocalityShare, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut locality__ = None;
                let mut percent__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Locality => {
                            if locality__.is_some() {
                                return Err(serde::de::Error::duplicate_field("locality"));
                            }
                            locality__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Percent => {
                            if percent__.is_some() {
                                return Err(serde::de::Error::duplicate_field("percent"));
                            }
                            percent__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(LocalityShare {
                    locality: locality__.unwrap_or_default(),
                    percent: percent__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.LocalityShare", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for LocalityShares {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.from.is_empty() {
            len += 1;
        }
        if !self.to.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.LocalityShares", len)?;
        if !self.from.is_empty() {
            struct_ser.serialize_field("from", &self.from)?;
        }
        if !self.to.is_empty() {
            struct_ser.serialize_field("to", &self.to)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for LocalityShares {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "from",
            "to",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            From,
            To,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "from" => Ok(GeneratedField::From),
                            "to" => Ok(GeneratedField::To),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = LocalityShares;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.LocalityShares")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<LocalityShares, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut from__ = None;
                let mut to__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::From => {
                            if from__.is_some() {
                                return Err(serde::de::Error::duplicate_field("from"));
                            }
                            from__ = Some(map_.next_value()?);
                        }
                        GeneratedField::To => {
                            if to__.is_some() {
                                return Err(serde::de::Error::duplicate_field("to"));
                            }
                            to__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(LocalityShares {
                    from: from__.unwrap_or_default(),
                    to: to__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.LocalityShares", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Mesh {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.trust_domain.is_empty() {
            len += 1;
        }
        if !self.trust_domain_aliases.is_empty() {
            len += 1;
        }
        if self.outbound_policy != 0 {
            len += 1;
        }
        if !self.roots_der.is_empty() {
            len += 1;
        }
        if !self.federated.is_empty() {
            len += 1;
        }
        if !self.crls_der.is_empty() {
            len += 1;
        }
        if !self.renew_certificates.is_empty() {
            len += 1;
        }
        if !self.jwks.is_empty() {
            len += 1;
        }
        if self.path_normalization != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Mesh", len)?;
        if !self.trust_domain.is_empty() {
            struct_ser.serialize_field("trust_domain", &self.trust_domain)?;
        }
        if !self.trust_domain_aliases.is_empty() {
            struct_ser.serialize_field("trust_domain_aliases", &self.trust_domain_aliases)?;
        }
        if self.outbound_policy != 0 {
            let v = OutboundPolicy::try_from(self.outbound_policy)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.outbound_policy)))?;
            struct_ser.serialize_field("outbound_policy", &v)?;
        }
        if !self.roots_der.is_empty() {
            struct_ser.serialize_field("roots_der", &self.roots_der.iter().map(pbjson::private::base64::encode).collect::<Vec<_>>())?;
        }
        if !self.federated.is_empty() {
            struct_ser.serialize_field("federated", &self.federated)?;
        }
        if !self.crls_der.is_empty() {
            struct_ser.serialize_field("crls_der", &self.crls_der.iter().map(pbjson::private::base64::encode).collect::<Vec<_>>())?;
        }
        if !self.renew_certificates.is_empty() {
            struct_ser.serialize_field("renew_certificates", &self.renew_certificates)?;
        }
        if !self.jwks.is_empty() {
            struct_ser.serialize_field("jwks", &self.jwks)?;
        }
        if self.path_normalization != 0 {
            let v = PathNormalization::try_from(self.path_normalization)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.path_normalization)))?;
            struct_ser.serialize_field("path_normalization", &v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Mesh {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "trust_domain",
            "trustDomain",
            "trust_domain_aliases",
            "trustDomainAliases",
            "outbound_policy",
            "outboundPolicy",
            "roots_der",
            "rootsDer",
            "federated",
            "crls_der",
            "crlsDer",
            "renew_certificates",
            "renewCertificates",
            "jwks",
            "path_normalization",
            "pathNormalization",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            TrustDomain,
            TrustDomainAliases,
            OutboundPolicy,
            RootsDer,
            Federated,
            CrlsDer,
            RenewCertificates,
            Jwks,
            PathNormalization,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "trustDomain" | "trust_domain" => Ok(GeneratedField::TrustDomain),
                            "trustDomainAliases" | "trust_domain_aliases" => Ok(GeneratedField::TrustDomainAliases),
                            "outboundPolicy" | "outbound_policy" => Ok(GeneratedField::OutboundPolicy),
                            "rootsDer" | "roots_der" => Ok(GeneratedField::RootsDer),
                            "federated" => Ok(GeneratedField::Federated),
                            "crlsDer" | "crls_der" => Ok(GeneratedField::CrlsDer),
                            "renewCertificates" | "renew_certificates" => Ok(GeneratedField::RenewCertificates),
                            "jwks" => Ok(GeneratedField::Jwks),
                            "pathNormalization" | "path_normalization" => Ok(GeneratedField::PathNormalization),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Mesh;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Mesh")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Mesh, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut trust_domain__ = None;
                let mut trust_domain_aliases__ = None;
                let mut outbound_policy__ = None;
                let mut roots_der__ = None;
                let mut federated__ = None;
                let mut crls_der__ = None;
                let mut renew_certificates__ = None;
                let mut jwks__ = None;
                let mut path_normalization__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::TrustDomain => {
                            if trust_domain__.is_some() {
                                return Err(serde::de::Error::duplicate_field("trustDomain"));
                            }
                            trust_domain__ = Some(map_.next_value()?);
                        }
                        GeneratedField::TrustDomainAliases => {
                            if trust_domain_aliases__.is_some() {
                                return Err(serde::de::Error::duplicate_field("trustDomainAliases"));
                            }
                            trust_domain_aliases__ = Some(map_.next_value()?);
                        }
                        GeneratedField::OutboundPolicy => {
                            if outbound_policy__.is_some() {
                                return Err(serde::de::Error::duplicate_field("outboundPolicy"));
                            }
                            outbound_policy__ = Some(map_.next_value::<OutboundPolicy>()? as i32);
                        }
                        GeneratedField::RootsDer => {
                            if roots_der__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rootsDer"));
                            }
                            roots_der__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::BytesDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::Federated => {
                            if federated__.is_some() {
                                return Err(serde::de::Error::duplicate_field("federated"));
                            }
                            federated__ = Some(map_.next_value()?);
                        }
                        GeneratedField::CrlsDer => {
                            if crls_der__.is_some() {
                                return Err(serde::de::Error::duplicate_field("crlsDer"));
                            }
                            crls_der__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::BytesDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::RenewCertificates => {
                            if renew_certificates__.is_some() {
                                return Err(serde::de::Error::duplicate_field("renewCertificates"));
                            }
                            renew_certificates__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Jwks => {
                            if jwks__.is_some() {
                                return Err(serde::de::Error::duplicate_field("jwks"));
                            }
                            jwks__ = Some(map_.next_value()?);
                        }
                        GeneratedField::PathNormalization => {
                            if path_normalization__.is_some() {
                                return Err(serde::de::Error::duplicate_field("pathNormalization"));
                            }
                            path_normalization__ = Some(map_.next_value::<PathNormalization>()? as i32);
                        }
                    }
                }
                Ok(Mesh {
                    trust_domain: trust_domain__.unwrap_or_default(),
                    trust_domain_aliases: trust_domain_aliases__.unwrap_or_default(),
                    outbound_policy: outbound_policy__.unwrap_or_default(),
                    roots_der: roots_der__.unwrap_or_default(),
                    federated: federated__.unwrap_or_default(),
                    crls_der: crls_der__.unwrap_or_default(),
                    renew_certificates: renew_certificates__.unwrap_or_default(),
                    jwks: jwks__.unwrap_or_default(),
                    path_normalization: path_normalization__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Mesh", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for MetricOverride {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.metric != 0 {
            len += 1;
        }
        if self.disabled {
            len += 1;
        }
        if !self.tags.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.MetricOverride", len)?;
        if self.metric != 0 {
            let v = TelemetryMetric::try_from(self.metric)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.metric)))?;
            struct_ser.serialize_field("metric", &v)?;
        }
        if self.disabled {
            struct_ser.serialize_field("disabled", &self.disabled)?;
        }
        if !self.tags.is_empty() {
            struct_ser.serialize_field("tags", &self.tags)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for MetricOverride {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "metric",
            "disabled",
            "tags",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Metric,
            Disabled,
            Tags,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "metric" => Ok(GeneratedField::Metric),
                            "disabled" => Ok(GeneratedField::Disabled),
                            "tags" => Ok(GeneratedField::Tags),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = MetricOverride;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.MetricOverride")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<MetricOverride, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut metric__ = None;
                let mut disabled__ = None;
                let mut tags__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Metric => {
                            if metric__.is_some() {
                                return Err(serde::de::Error::duplicate_field("metric"));
                            }
                            metric__ = Some(map_.next_value::<TelemetryMetric>()? as i32);
                        }
                        GeneratedField::Disabled => {
                            if disabled__.is_some() {
                                return Err(serde::de::Error::duplicate_field("disabled"));
                            }
                            disabled__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Tags => {
                            if tags__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tags"));
                            }
                            tags__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(MetricOverride {
                    metric: metric__.unwrap_or_default(),
                    disabled: disabled__.unwrap_or_default(),
                    tags: tags__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.MetricOverride", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Mirror {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.destination.is_some() {
            len += 1;
        }
        if self.per_million != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Mirror", len)?;
        if let Some(v) = self.destination.as_ref() {
            struct_ser.serialize_field("destination", v)?;
        }
        if self.per_million != 0 {
            struct_ser.serialize_field("per_million", &self.per_million)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Mirror {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "destination",
            "per_million",
            "perMillion",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Destination,
            PerMillion,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "destination" => Ok(GeneratedField::Destination),
                            "perMillion" | "per_million" => Ok(GeneratedField::PerMillion),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Mirror;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Mirror")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Mirror, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut destination__ = None;
                let mut per_million__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Destination => {
                            if destination__.is_some() {
                                return Err(serde::de::Error::duplicate_field("destination"));
                            }
                            destination__ = map_.next_value()?;
                        }
                        GeneratedField::PerMillion => {
                            if per_million__.is_some() {
                                return Err(serde::de::Error::duplicate_field("perMillion"));
                            }
                            per_million__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Mirror {
                    destination: destination__,
                    per_million: per_million__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Mirror", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for MtlsMode {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "MTLS_MODE_UNSPECIFIED",
            Self::Disable => "MTLS_MODE_DISABLE",
            Self::Permissive => "MTLS_MODE_PERMISSIVE",
            Self::Strict => "MTLS_MODE_STRICT",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for MtlsMode {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "MTLS_MODE_UNSPECIFIED",
            "MTLS_MODE_DISABLE",
            "MTLS_MODE_PERMISSIVE",
            "MTLS_MODE_STRICT",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = MtlsMode;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "MTLS_MODE_UNSPECIFIED" => Ok(MtlsMode::Unspecified),
                    "MTLS_MODE_DISABLE" => Ok(MtlsMode::Disable),
                    "MTLS_MODE_PERMISSIVE" => Ok(MtlsMode::Permissive),
                    "MTLS_MODE_STRICT" => Ok(MtlsMode::Strict),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for Name {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.hostname.is_empty() {
            len += 1;
        }
        if !self.addresses.is_empty() {
            len += 1;
        }
        if !self.declared.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Name", len)?;
        if !self.hostname.is_empty() {
            struct_ser.serialize_field("hostname", &self.hostname)?;
        }
        if !self.addresses.is_empty() {
            struct_ser.serialize_field("addresses", &self.addresses)?;
        }
        if !self.declared.is_empty() {
            struct_ser.serialize_field("declared", &self.declared)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Name {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "hostname",
            "addresses",
            "declared",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Hostname,
            Addresses,
            Declared,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "hostname" => Ok(GeneratedField::Hostname),
                            "addresses" => Ok(GeneratedField::Addresses),
                            "declared" => Ok(GeneratedField::Declared),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Name;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Name")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Name, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut hostname__ = None;
                let mut addresses__ = None;
                let mut declared__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Hostname => {
                            if hostname__.is_some() {
                                return Err(serde::de::Error::duplicate_field("hostname"));
                            }
                            hostname__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Addresses => {
                            if addresses__.is_some() {
                                return Err(serde::de::Error::duplicate_field("addresses"));
                            }
                            addresses__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Declared => {
                            if declared__.is_some() {
                                return Err(serde::de::Error::duplicate_field("declared"));
                            }
                            declared__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Name {
                    hostname: hostname__.unwrap_or_default(),
                    addresses: addresses__.unwrap_or_default(),
                    declared: declared__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Name", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Node {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.workload.is_empty() {
            len += 1;
        }
        if self.kind != 0 {
            len += 1;
        }
        if !self.labels.is_empty() {
            len += 1;
        }
        if !self.addresses.is_empty() {
            len += 1;
        }
        if !self.locality.is_empty() {
            len += 1;
        }
        if !self.cluster.is_empty() {
            len += 1;
        }
        if !self.build_version.is_empty() {
            len += 1;
        }
        if !self.admin_address.is_empty() {
            len += 1;
        }
        if self.registration.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Node", len)?;
        if !self.workload.is_empty() {
            struct_ser.serialize_field("workload", &self.workload)?;
        }
        if self.kind != 0 {
            let v = ProxyKind::try_from(self.kind)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.kind)))?;
            struct_ser.serialize_field("kind", &v)?;
        }
        if !self.labels.is_empty() {
            struct_ser.serialize_field("labels", &self.labels)?;
        }
        if !self.addresses.is_empty() {
            struct_ser.serialize_field("addresses", &self.addresses)?;
        }
        if !self.locality.is_empty() {
            struct_ser.serialize_field("locality", &self.locality)?;
        }
        if !self.cluster.is_empty() {
            struct_ser.serialize_field("cluster", &self.cluster)?;
        }
        if !self.build_version.is_empty() {
            struct_ser.serialize_field("build_version", &self.build_version)?;
        }
        if !self.admin_address.is_empty() {
            struct_ser.serialize_field("admin_address", &self.admin_address)?;
        }
        if let Some(v) = self.registration.as_ref() {
            struct_ser.serialize_field("registration", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Node {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "workload",
            "kind",
            "labels",
            "addresses",
            "locality",
            "cluster",
            "build_version",
            "buildVersion",
            "admin_address",
            "adminAddress",
            "registration",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Workload,
            Kind,
            Labels,
            Addresses,
            Locality,
            Cluster,
            BuildVersion,
            AdminAddress,
            Registration,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "workload" => Ok(GeneratedField::Workload),
                            "kind" => Ok(GeneratedField::Kind),
                            "labels" => Ok(GeneratedField::Labels),
                            "addresses" => Ok(GeneratedField::Addresses),
                            "locality" => Ok(GeneratedField::Locality),
                            "cluster" => Ok(GeneratedField::Cluster),
                            "buildVersion" | "build_version" => Ok(GeneratedField::BuildVersion),
                            "adminAddress" | "admin_address" => Ok(GeneratedField::AdminAddress),
                            "registration" => Ok(GeneratedField::Registration),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Node;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Node")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Node, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut workload__ = None;
                let mut kind__ = None;
                let mut labels__ = None;
                let mut addresses__ = None;
                let mut locality__ = None;
                let mut cluster__ = None;
                let mut build_version__ = None;
                let mut admin_address__ = None;
                let mut registration__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Workload => {
                            if workload__.is_some() {
                                return Err(serde::de::Error::duplicate_field("workload"));
                            }
                            workload__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Kind => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("kind"));
                            }
                            kind__ = Some(map_.next_value::<ProxyKind>()? as i32);
                        }
                        GeneratedField::Labels => {
                            if labels__.is_some() {
                                return Err(serde::de::Error::duplicate_field("labels"));
                            }
                            labels__ = Some(
                                map_.next_value::<std::collections::BTreeMap<_, _>>()?
                            );
                        }
                        GeneratedField::Addresses => {
                            if addresses__.is_some() {
                                return Err(serde::de::Error::duplicate_field("addresses"));
                            }
                            addresses__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Locality => {
                            if locality__.is_some() {
                                return Err(serde::de::Error::duplicate_field("locality"));
                            }
                            locality__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Cluster => {
                            if cluster__.is_some() {
                                return Err(serde::de::Error::duplicate_field("cluster"));
                            }
                            cluster__ = Some(map_.next_value()?);
                        }
                        GeneratedField::BuildVersion => {
                            if build_version__.is_some() {
                                return Err(serde::de::Error::duplicate_field("buildVersion"));
                            }
                            build_version__ = Some(map_.next_value()?);
                        }
                        GeneratedField::AdminAddress => {
                            if admin_address__.is_some() {
                                return Err(serde::de::Error::duplicate_field("adminAddress"));
                            }
                            admin_address__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Registration => {
                            if registration__.is_some() {
                                return Err(serde::de::Error::duplicate_field("registration"));
                            }
                            registration__ = map_.next_value()?;
                        }
                    }
                }
                Ok(Node {
                    workload: workload__.unwrap_or_default(),
                    kind: kind__.unwrap_or_default(),
                    labels: labels__.unwrap_or_default(),
                    addresses: addresses__.unwrap_or_default(),
                    locality: locality__.unwrap_or_default(),
                    cluster: cluster__.unwrap_or_default(),
                    build_version: build_version__.unwrap_or_default(),
                    admin_address: admin_address__.unwrap_or_default(),
                    registration: registration__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Node", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Operation {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.operator != 0 {
            len += 1;
        }
        if !self.operands.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Operation", len)?;
        if self.operator != 0 {
            let v = Operator::try_from(self.operator)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.operator)))?;
            struct_ser.serialize_field("operator", &v)?;
        }
        if !self.operands.is_empty() {
            struct_ser.serialize_field("operands", &self.operands)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Operation {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "operator",
            "operands",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Operator,
            Operands,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "operator" => Ok(GeneratedField::Operator),
                            "operands" => Ok(GeneratedField::Operands),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Operation;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Operation")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Operation, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut operator__ = None;
                let mut operands__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Operator => {
                            if operator__.is_some() {
                                return Err(serde::de::Error::duplicate_field("operator"));
                            }
                            operator__ = Some(map_.next_value::<Operator>()? as i32);
                        }
                        GeneratedField::Operands => {
                            if operands__.is_some() {
                                return Err(serde::de::Error::duplicate_field("operands"));
                            }
                            operands__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Operation {
                    operator: operator__.unwrap_or_default(),
                    operands: operands__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Operation", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Operator {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "OPERATOR_UNSPECIFIED",
            Self::And => "OPERATOR_AND",
            Self::Or => "OPERATOR_OR",
            Self::Not => "OPERATOR_NOT",
            Self::Equal => "OPERATOR_EQUAL",
            Self::NotEqual => "OPERATOR_NOT_EQUAL",
            Self::Less => "OPERATOR_LESS",
            Self::LessOrEqual => "OPERATOR_LESS_OR_EQUAL",
            Self::Greater => "OPERATOR_GREATER",
            Self::GreaterOrEqual => "OPERATOR_GREATER_OR_EQUAL",
            Self::Add => "OPERATOR_ADD",
            Self::StartsWith => "OPERATOR_STARTS_WITH",
            Self::EndsWith => "OPERATOR_ENDS_WITH",
            Self::Contains => "OPERATOR_CONTAINS",
            Self::Matches => "OPERATOR_MATCHES",
            Self::Conditional => "OPERATOR_CONDITIONAL",
            Self::IsPresent => "OPERATOR_IS_PRESENT",
            Self::Text => "OPERATOR_TEXT",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for Operator {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "OPERATOR_UNSPECIFIED",
            "OPERATOR_AND",
            "OPERATOR_OR",
            "OPERATOR_NOT",
            "OPERATOR_EQUAL",
            "OPERATOR_NOT_EQUAL",
            "OPERATOR_LESS",
            "OPERATOR_LESS_OR_EQUAL",
            "OPERATOR_GREATER",
            "OPERATOR_GREATER_OR_EQUAL",
            "OPERATOR_ADD",
            "OPERATOR_STARTS_WITH",
            "OPERATOR_ENDS_WITH",
            "OPERATOR_CONTAINS",
            "OPERATOR_MATCHES",
            "OPERATOR_CONDITIONAL",
            "OPERATOR_IS_PRESENT",
            "OPERATOR_TEXT",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = Operator;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "OPERATOR_UNSPECIFIED" => Ok(Operator::Unspecified),
                    "OPERATOR_AND" => Ok(Operator::And),
                    "OPERATOR_OR" => Ok(Operator::Or),
                    "OPERATOR_NOT" => Ok(Operator::Not),
                    "OPERATOR_EQUAL" => Ok(Operator::Equal),
                    "OPERATOR_NOT_EQUAL" => Ok(Operator::NotEqual),
                    "OPERATOR_LESS" => Ok(Operator::Less),
                    "OPERATOR_LESS_OR_EQUAL" => Ok(Operator::LessOrEqual),
                    "OPERATOR_GREATER" => Ok(Operator::Greater),
                    "OPERATOR_GREATER_OR_EQUAL" => Ok(Operator::GreaterOrEqual),
                    "OPERATOR_ADD" => Ok(Operator::Add),
                    "OPERATOR_STARTS_WITH" => Ok(Operator::StartsWith),
                    "OPERATOR_ENDS_WITH" => Ok(Operator::EndsWith),
                    "OPERATOR_CONTAINS" => Ok(Operator::Contains),
                    "OPERATOR_MATCHES" => Ok(Operator::Matches),
                    "OPERATOR_CONDITIONAL" => Ok(Operator::Conditional),
                    "OPERATOR_IS_PRESENT" => Ok(Operator::IsPresent),
                    "OPERATOR_TEXT" => Ok(Operator::Text),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for Origin {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.source.is_empty() {
            len += 1;
        }
        if self.line != 0 {
            len += 1;
        }
        if self.column != 0 {
            len += 1;
        }
        if !self.kind.is_empty() {
            len += 1;
        }
        if !self.namespace.is_empty() {
            len += 1;
        }
        if !self.name.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Origin", len)?;
        if !self.source.is_empty() {
            struct_ser.serialize_field("source", &self.source)?;
        }
        if self.line != 0 {
            struct_ser.serialize_field("line", &self.line)?;
        }
        if self.column != 0 {
            struct_ser.serialize_field("column", &self.column)?;
        }
        if !self.kind.is_empty() {
            struct_ser.serialize_field("kind", &self.kind)?;
        }
        if !self.namespace.is_empty() {
            struct_ser.serialize_field("namespace", &self.namespace)?;
        }
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Origin {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "source",
            "line",
            "column",
            "kind",
            "namespace",
            "name",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Source,
            Line,
            Column,
            Kind,
            Namespace,
            Name,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "source" => Ok(GeneratedField::Source),
                            "line" => Ok(GeneratedField::Line),
                            "column" => Ok(GeneratedField::Column),
                            "kind" => Ok(GeneratedField::Kind),
                            "namespace" => Ok(GeneratedField::Namespace),
                            "name" => Ok(GeneratedField::Name),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Origin;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Origin")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Origin, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut source__ = None;
                let mut line__ = None;
                let mut column__ = None;
                let mut kind__ = None;
                let mut namespace__ = None;
                let mut name__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Source => {
                            if source__.is_some() {
                                return Err(serde::de::Error::duplicate_field("source"));
                            }
                            source__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Line => {
                            if line__.is_some() {
                                return Err(serde::de::Error::duplicate_field("line"));
                            }
                            line__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Column => {
                            if column__.is_some() {
                                return Err(serde::de::Error::duplicate_field("column"));
                            }
                            column__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Kind => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("kind"));
                            }
                            kind__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Namespace => {
                            if namespace__.is_some() {
                                return Err(serde::de::Error::duplicate_field("namespace"));
                            }
                            namespace__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Origin {
                    source: source__.unwrap_or_default(),
                    line: line__.unwrap_or_default(),
                    column: column__.unwrap_or_default(),
                    kind: kind__.unwrap_or_default(),
                    namespace: namespace__.unwrap_or_default(),
                    name: name__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Origin", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for OutboundPolicy {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "OUTBOUND_POLICY_UNSPECIFIED",
            Self::AllowAny => "OUTBOUND_POLICY_ALLOW_ANY",
            Self::RegistryOnly => "OUTBOUND_POLICY_REGISTRY_ONLY",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for OutboundPolicy {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "OUTBOUND_POLICY_UNSPECIFIED",
            "OUTBOUND_POLICY_ALLOW_ANY",
            "OUTBOUND_POLICY_REGISTRY_ONLY",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = OutboundPolicy;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "OUTBOUND_POLICY_UNSPECIFIED" => Ok(OutboundPolicy::Unspecified),
                    "OUTBOUND_POLICY_ALLOW_ANY" => Ok(OutboundPolicy::AllowAny),
                    "OUTBOUND_POLICY_REGISTRY_ONLY" => Ok(OutboundPolicy::RegistryOnly),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for OutlierDetection {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.consecutive_5xx != 0 {
            len += 1;
        }
        if self.consecutive_gateway != 0 {
            len += 1;
        }
        if self.consecutive_local != 0 {
            len += 1;
        }
        if self.split_local {
            len += 1;
        }
        if self.interval_ms != 0 {
            len += 1;
        }
        if self.base_ejection_ms != 0 {
            len += 1;
        }
        if self.max_ejection_percent != 0 {
            len += 1;
        }
        if self.min_health_percent != 0 {
            len += 1;
        }
        if !self.error_statuses.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.OutlierDetection", len)?;
        if self.consecutive_5xx != 0 {
            struct_ser.serialize_field("consecutive_5xx", &self.consecutive_5xx)?;
        }
        if self.consecutive_gateway != 0 {
            struct_ser.serialize_field("consecutive_gateway", &self.consecutive_gateway)?;
        }
        if self.consecutive_local != 0 {
            struct_ser.serialize_field("consecutive_local", &self.consecutive_local)?;
        }
        if self.split_local {
            struct_ser.serialize_field("split_local", &self.split_local)?;
        }
        if self.interval_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("interval_ms", ToString::to_string(&self.interval_ms).as_str())?;
        }
        if self.base_ejection_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("base_ejection_ms", ToString::to_string(&self.base_ejection_ms).as_str())?;
        }
        if self.max_ejection_percent != 0 {
            struct_ser.serialize_field("max_ejection_percent", &self.max_ejection_percent)?;
        }
        if self.min_health_percent != 0 {
            struct_ser.serialize_field("min_health_percent", &self.min_health_percent)?;
        }
        if !self.error_statuses.is_empty() {
            struct_ser.serialize_field("error_statuses", &self.error_statuses)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for OutlierDetection {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "consecutive_5xx",
            "consecutive5xx",
            "consecutive_gateway",
            "consecutiveGateway",
            "consecutive_local",
            "consecutiveLocal",
            "split_local",
            "splitLocal",
            "interval_ms",
            "intervalMs",
            "base_ejection_ms",
            "baseEjectionMs",
            "max_ejection_percent",
            "maxEjectionPercent",
            "min_health_percent",
            "minHealthPercent",
            "error_statuses",
            "errorStatuses",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Consecutive5xx,
            ConsecutiveGateway,
            ConsecutiveLocal,
            SplitLocal,
            IntervalMs,
            BaseEjectionMs,
            MaxEjectionPercent,
            MinHealthPercent,
            ErrorStatuses,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "consecutive5xx" | "consecutive_5xx" => Ok(GeneratedField::Consecutive5xx),
                            "consecutiveGateway" | "consecutive_gateway" => Ok(GeneratedField::ConsecutiveGateway),
                            "consecutiveLocal" | "consecutive_local" => Ok(GeneratedField::ConsecutiveLocal),
                            "splitLocal" | "split_local" => Ok(GeneratedField::SplitLocal),
                            "intervalMs" | "interval_ms" => Ok(GeneratedField::IntervalMs),
                            "baseEjectionMs" | "base_ejection_ms" => Ok(GeneratedField::BaseEjectionMs),
                            "maxEjectionPercent" | "max_ejection_percent" => Ok(GeneratedField::MaxEjectionPercent),
                            "minHealthPercent" | "min_health_percent" => Ok(GeneratedField::MinHealthPercent),
                            "errorStatuses" | "error_statuses" => Ok(GeneratedField::ErrorStatuses),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = OutlierDetection;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.OutlierDetection")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<OutlierDetection, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut consecutive_5xx__ = None;
                let mut consecutive_gateway__ = None;
                let mut consecutive_local__ = None;
                let mut split_local__ = None;
                let mut interval_ms__ = None;
                let mut base_ejection_ms__ = None;
                let mut max_ejection_percent__ = None;
                let mut min_health_percent__ = None;
                let mut error_statuses__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Consecutive5xx => {
                            if consecutive_5xx__.is_some() {
                                return Err(serde::de::Error::duplicate_field("consecutive5xx"));
                            }
                            consecutive_5xx__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::ConsecutiveGateway => {
                            if consecutive_gateway__.is_some() {
                                return Err(serde::de::Error::duplicate_field("consecutiveGateway"));
                            }
                            consecutive_gateway__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::ConsecutiveLocal => {
                            if consecutive_local__.is_some() {
                                return Err(serde::de::Error::duplicate_field("consecutiveLocal"));
                            }
                            consecutive_local__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::SplitLocal => {
                            if split_local__.is_some() {
                                return Err(serde::de::Error::duplicate_field("splitLocal"));
                            }
                            split_local__ = Some(map_.next_value()?);
                        }
                        GeneratedField::IntervalMs => {
                            if interval_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("intervalMs"));
                            }
                            interval_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::BaseEjectionMs => {
                            if base_ejection_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("baseEjectionMs"));
                            }
                            base_ejection_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxEjectionPercent => {
                            if max_ejection_percent__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxEjectionPercent"));
                            }
                            max_ejection_percent__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MinHealthPercent => {
                            if min_health_percent__.is_some() {
                                return Err(serde::de::Error::duplicate_field("minHealthPercent"));
                            }
                            min_health_percent__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::ErrorStatuses => {
                            if error_statuses__.is_some() {
                                return Err(serde::de::Error::duplicate_field("errorStatuses"));
                            }
                            error_statuses__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::NumberDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                    }
                }
                Ok(OutlierDetection {
                    consecutive_5xx: consecutive_5xx__.unwrap_or_default(),
                    consecutive_gateway: consecutive_gateway__.unwrap_or_default(),
                    consecutive_local: consecutive_local__.unwrap_or_default(),
                    split_local: split_local__.unwrap_or_default(),
                    interval_ms: interval_ms__.unwrap_or_default(),
                    base_ejection_ms: base_ejection_ms__.unwrap_or_default(),
                    max_ejection_percent: max_ejection_percent__.unwrap_or_default(),
                    min_health_percent: min_health_percent__.unwrap_or_default(),
                    error_statuses: error_statuses__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.OutlierDetection", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for OverloadProtection {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.policy.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        if self.disabled {
            len += 1;
        }
        if self.shadow {
            len += 1;
        }
        if self.max_requests != 0 {
            len += 1;
        }
        if self.min_requests != 0 {
            len += 1;
        }
        if self.latency_ratio != 0. {
            len += 1;
        }
        if self.latency_floor_ms != 0 {
            len += 1;
        }
        if self.adaptive != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.OverloadProtection", len)?;
        if !self.policy.is_empty() {
            struct_ser.serialize_field("policy", &self.policy)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        if self.disabled {
            struct_ser.serialize_field("disabled", &self.disabled)?;
        }
        if self.shadow {
            struct_ser.serialize_field("shadow", &self.shadow)?;
        }
        if self.max_requests != 0 {
            struct_ser.serialize_field("max_requests", &self.max_requests)?;
        }
        if self.min_requests != 0 {
            struct_ser.serialize_field("min_requests", &self.min_requests)?;
        }
        if self.latency_ratio != 0. {
            struct_ser.serialize_field("latency_ratio", &self.latency_ratio)?;
        }
        if self.latency_floor_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("latency_floor_ms", ToString::to_string(&self.latency_floor_ms).as_str())?;
        }
        if self.adaptive != 0 {
            let v = AdaptiveLimit::try_from(self.adaptive)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.adaptive)))?;
            struct_ser.serialize_field("adaptive", &v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for OverloadProtection {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "policy",
            "origin",
            "disabled",
            "shadow",
            "max_requests",
            "maxRequests",
            "min_requests",
            "minRequests",
            "latency_ratio",
            "latencyRatio",
            "latency_floor_ms",
            "latencyFloorMs",
            "adaptive",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Policy,
            Origin,
            Disabled,
            Shadow,
            MaxRequests,
            MinRequests,
            LatencyRatio,
            LatencyFloorMs,
            Adaptive,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "policy" => Ok(GeneratedField::Policy),
                            "origin" => Ok(GeneratedField::Origin),
                            "disabled" => Ok(GeneratedField::Disabled),
                            "shadow" => Ok(GeneratedField::Shadow),
                            "maxRequests" | "max_requests" => Ok(GeneratedField::MaxRequests),
                            "minRequests" | "min_requests" => Ok(GeneratedField::MinRequests),
                            "latencyRatio" | "latency_ratio" => Ok(GeneratedField::LatencyRatio),
                            "latencyFloorMs" | "latency_floor_ms" => Ok(GeneratedField::LatencyFloorMs),
                            "adaptive" => Ok(GeneratedField::Adaptive),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = OverloadProtection;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.OverloadProtection")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<OverloadProtection, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut policy__ = None;
                let mut origin__ = None;
                let mut disabled__ = None;
                let mut shadow__ = None;
                let mut max_requests__ = None;
                let mut min_requests__ = None;
                let mut latency_ratio__ = None;
                let mut latency_floor_ms__ = None;
                let mut adaptive__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Policy => {
                            if policy__.is_some() {
                                return Err(serde::de::Error::duplicate_field("policy"));
                            }
                            policy__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                        GeneratedField::Disabled => {
                            if disabled__.is_some() {
                                return Err(serde::de::Error::duplicate_field("disabled"));
                            }
                            disabled__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Shadow => {
                            if shadow__.is_some() {
                                return Err(serde::de::Error::duplicate_field("shadow"));
                            }
                            shadow__ = Some(map_.next_value()?);
                        }
                        GeneratedField::MaxRequests => {
                            if max_requests__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxRequests"));
                            }
                            max_requests__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MinRequests => {
                            if min_requests__.is_some() {
                                return Err(serde::de::Error::duplicate_field("minRequests"));
                            }
                            min_requests__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::LatencyRatio => {
                            if latency_ratio__.is_some() {
                                return Err(serde::de::Error::duplicate_field("latencyRatio"));
                            }
                            latency_ratio__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::LatencyFloorMs => {
                            if latency_floor_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("latencyFloorMs"));
                            }
                            latency_floor_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Adaptive => {
                            if adaptive__.is_some() {
                                return Err(serde::de::Error::duplicate_field("adaptive"));
                            }
                            adaptive__ = Some(map_.next_value::<AdaptiveLimit>()? as i32);
                        }
                    }
                }
                Ok(OverloadProtection {
                    policy: policy__.unwrap_or_default(),
                    origin: origin__,
                    disabled: disabled__.unwrap_or_default(),
                    shadow: shadow__.unwrap_or_default(),
                    max_requests: max_requests__.unwrap_or_default(),
                    min_requests: min_requests__.unwrap_or_default(),
                    latency_ratio: latency_ratio__.unwrap_or_default(),
                    latency_floor_ms: latency_floor_ms__.unwrap_or_default(),
                    adaptive: adaptive__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.OverloadProtection", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for PathNormalization {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "PATH_NORMALIZATION_UNSPECIFIED",
            Self::None => "PATH_NORMALIZATION_NONE",
            Self::Base => "PATH_NORMALIZATION_BASE",
            Self::MergeSlashes => "PATH_NORMALIZATION_MERGE_SLASHES",
            Self::DecodeAndMergeSlashes => "PATH_NORMALIZATION_DECODE_AND_MERGE_SLASHES",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for PathNormalization {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "PATH_NORMALIZATION_UNSPECIFIED",
            "PATH_NORMALIZATION_NONE",
            "PATH_NORMALIZATION_BASE",
            "PATH_NORMALIZATION_MERGE_SLASHES",
            "PATH_NORMALIZATION_DECODE_AND_MERGE_SLASHES",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = PathNormalization;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "PATH_NORMALIZATION_UNSPECIFIED" => Ok(PathNormalization::Unspecified),
                    "PATH_NORMALIZATION_NONE" => Ok(PathNormalization::None),
                    "PATH_NORMALIZATION_BASE" => Ok(PathNormalization::Base),
                    "PATH_NORMALIZATION_MERGE_SLASHES" => Ok(PathNormalization::MergeSlashes),
                    "PATH_NORMALIZATION_DECODE_AND_MERGE_SLASHES" => Ok(PathNormalization::DecodeAndMergeSlashes),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for Place {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.locality.is_empty() {
            len += 1;
        }
        if !self.node.is_empty() {
            len += 1;
        }
        if !self.labels.is_empty() {
            len += 1;
        }
        if !self.cluster.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Place", len)?;
        if !self.locality.is_empty() {
            struct_ser.serialize_field("locality", &self.locality)?;
        }
        if !self.node.is_empty() {
            struct_ser.serialize_field("node", &self.node)?;
        }
        if !self.labels.is_empty() {
            struct_ser.serialize_field("labels", &self.labels)?;
        }
        if !self.cluster.is_empty() {
            struct_ser.serialize_field("cluster", &self.cluster)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Place {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "locality",
            "node",
            "labels",
            "cluster",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Locality,
            Node,
            Labels,
            Cluster,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "locality" => Ok(GeneratedField::Locality),
                            "node" => Ok(GeneratedField::Node),
                            "labels" => Ok(GeneratedField::Labels),
                            "cluster" => Ok(GeneratedField::Cluster),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Place;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Place")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Place, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut locality__ = None;
                let mut node__ = None;
                let mut labels__ = None;
                let mut cluster__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Locality => {
                            if locality__.is_some() {
                                return Err(serde::de::Error::duplicate_field("locality"));
                            }
                            locality__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Node => {
                            if node__.is_some() {
                                return Err(serde::de::Error::duplicate_field("node"));
                            }
                            node__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Labels => {
                            if labels__.is_some() {
                                return Err(serde::de::Error::duplicate_field("labels"));
                            }
                            labels__ = Some(
                                map_.next_value::<std::collections::BTreeMap<_, _>>()?
                            );
                        }
                        GeneratedField::Cluster => {
                            if cluster__.is_some() {
                                return Err(serde::de::Error::duplicate_field("cluster"));
                            }
                            cluster__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Place {
                    locality: locality__.unwrap_or_default(),
                    node: node__.unwrap_or_default(),
                    labels: labels__.unwrap_or_default(),
                    cluster: cluster__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Place", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for PortPolicy {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.port != 0 {
            len += 1;
        }
        if self.policy.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.PortPolicy", len)?;
        if self.port != 0 {
            struct_ser.serialize_field("port", &self.port)?;
        }
        if let Some(v) = self.policy.as_ref() {
            struct_ser.serialize_field("policy", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for PortPolicy {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "port",
            "policy",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Port,
            Policy,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "port" => Ok(GeneratedField::Port),
                            "policy" => Ok(GeneratedField::Policy),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = PortPolicy;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.PortPolicy")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<PortPolicy, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut port__ = None;
                let mut policy__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Port => {
                            if port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("port"));
                            }
                            port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Policy => {
                            if policy__.is_some() {
                                return Err(serde::de::Error::duplicate_field("policy"));
                            }
                            policy__ = map_.next_value()?;
                        }
                    }
                }
                Ok(PortPolicy {
                    port: port__.unwrap_or_default(),
                    policy: policy__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.PortPolicy", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Protocol {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "PROTOCOL_UNSPECIFIED",
            Self::Auto => "PROTOCOL_AUTO",
            Self::Http => "PROTOCOL_HTTP",
            Self::Http2 => "PROTOCOL_HTTP2",
            Self::Grpc => "PROTOCOL_GRPC",
            Self::Tls => "PROTOCOL_TLS",
            Self::Tcp => "PROTOCOL_TCP",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for Protocol {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "PROTOCOL_UNSPECIFIED",
            "PROTOCOL_AUTO",
            "PROTOCOL_HTTP",
            "PROTOCOL_HTTP2",
            "PROTOCOL_GRPC",
            "PROTOCOL_TLS",
            "PROTOCOL_TCP",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = Protocol;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "PROTOCOL_UNSPECIFIED" => Ok(Protocol::Unspecified),
                    "PROTOCOL_AUTO" => Ok(Protocol::Auto),
                    "PROTOCOL_HTTP" => Ok(Protocol::Http),
                    "PROTOCOL_HTTP2" => Ok(Protocol::Http2),
                    "PROTOCOL_GRPC" => Ok(Protocol::Grpc),
                    "PROTOCOL_TLS" => Ok(Protocol::Tls),
                    "PROTOCOL_TCP" => Ok(Protocol::Tcp),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for ProxyKind {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "PROXY_KIND_UNSPECIFIED",
            Self::Sidecar => "PROXY_KIND_SIDECAR",
            Self::Gateway => "PROXY_KIND_GATEWAY",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for ProxyKind {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "PROXY_KIND_UNSPECIFIED",
            "PROXY_KIND_SIDECAR",
            "PROXY_KIND_GATEWAY",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = ProxyKind;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "PROXY_KIND_UNSPECIFIED" => Ok(ProxyKind::Unspecified),
                    "PROXY_KIND_SIDECAR" => Ok(ProxyKind::Sidecar),
                    "PROXY_KIND_GATEWAY" => Ok(ProxyKind::Gateway),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for ProxyProtocol {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "PROXY_PROTOCOL_UNSPECIFIED",
            Self::V1 => "PROXY_PROTOCOL_V1",
            Self::V2 => "PROXY_PROTOCOL_V2",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for ProxyProtocol {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "PROXY_PROTOCOL_UNSPECIFIED",
            "PROXY_PROTOCOL_V1",
            "PROXY_PROTOCOL_V2",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = ProxyProtocol;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "PROXY_PROTOCOL_UNSPECIFIED" => Ok(ProxyProtocol::Unspecified),
                    "PROXY_PROTOCOL_V1" => Ok(ProxyProtocol::V1),
                    "PROXY_PROTOCOL_V2" => Ok(ProxyProtocol::V2),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for RateKey {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.by.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.RateKey", len)?;
        if let Some(v) = self.by.as_ref() {
            match v {
                rate_key::By::Header(v) => {
                    struct_ser.serialize_field("header", v)?;
                }
                rate_key::By::Path(v) => {
                    struct_ser.serialize_field("path", v)?;
                }
                rate_key::By::SourceIdentity(v) => {
                    struct_ser.serialize_field("source_identity", v)?;
                }
                rate_key::By::SourceIp(v) => {
                    struct_ser.serialize_field("source_ip", v)?;
                }
                rate_key::By::Method(v) => {
                    struct_ser.serialize_field("method", v)?;
                }
                rate_key::By::Host(v) => {
                    struct_ser.serialize_field("host", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for RateKey {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "header",
            "path",
            "source_identity",
            "sourceIdentity",
            "source_ip",
            "sourceIp",
            "method",
            "host",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Header,
            Path,
            SourceIdentity,
            SourceIp,
            Method,
            Host,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "header" => Ok(GeneratedField::Header),
                            "path" => Ok(GeneratedField::Path),
                            "sourceIdentity" | "source_identity" => Ok(GeneratedField::SourceIdentity),
                            "sourceIp" | "source_ip" => Ok(GeneratedField::SourceIp),
                            "method" => Ok(GeneratedField::Method),
                            "host" => Ok(GeneratedField::Host),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = RateKey;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.RateKey")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<RateKey, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut by__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Header => {
                            if by__.is_some() {
                                return Err(serde::de::Error::duplicate_field("header"));
                            }
                            by__ = map_.next_value::<::std::option::Option<_>>()?.map(rate_key::By::Header);
                        }
                        GeneratedField::Path => {
                            if by__.is_some() {
                                return Err(serde::de::Error::duplicate_field("path"));
                            }
                            by__ = map_.next_value::<::std::option::Option<_>>()?.map(rate_key::By::Path);
                        }
                        GeneratedField::SourceIdentity => {
                            if by__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sourceIdentity"));
                            }
                            by__ = map_.next_value::<::std::option::Option<_>>()?.map(rate_key::By::SourceIdentity);
                        }
                        GeneratedField::SourceIp => {
                            if by__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sourceIp"));
                            }
                            by__ = map_.next_value::<::std::option::Option<_>>()?.map(rate_key::By::SourceIp);
                        }
                        GeneratedField::Method => {
                            if by__.is_some() {
                                return Err(serde::de::Error::duplicate_field("method"));
                            }
                            by__ = map_.next_value::<::std::option::Option<_>>()?.map(rate_key::By::Method);
                        }
                        GeneratedField::Host => {
                            if by__.is_some() {
                                return Err(serde::de::Error::duplicate_field("host"));
                            }
                            by__ = map_.next_value::<::std::option::Option<_>>()?.map(rate_key::By::Host);
                        }
                    }
                }
                Ok(RateKey {
                    by: by__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.RateKey", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for RateLimit {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.policy.is_empty() {
            len += 1;
        }
        if !self.name.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        if self.connections {
            len += 1;
        }
        if !self.ports.is_empty() {
            len += 1;
        }
        if !self.matches.is_empty() {
            len += 1;
        }
        if self.amount != 0 {
            len += 1;
        }
        if self.interval_ms != 0 {
            len += 1;
        }
        if self.burst != 0 {
            len += 1;
        }
        if !self.keys.is_empty() {
            len += 1;
        }
        if self.max_keys != 0 {
            len += 1;
        }
        if self.shadow {
            len += 1;
        }
        if !self.response_headers.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.RateLimit", len)?;
        if !self.policy.is_empty() {
            struct_ser.serialize_field("policy", &self.policy)?;
        }
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        if self.connections {
            struct_ser.serialize_field("connections", &self.connections)?;
        }
        if !self.ports.is_empty() {
            struct_ser.serialize_field("ports", &self.ports)?;
        }
        if !self.matches.is_empty() {
            struct_ser.serialize_field("matches", &self.matches)?;
        }
        if self.amount != 0 {
            struct_ser.serialize_field("amount", &self.amount)?;
        }
        if self.interval_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("interval_ms", ToString::to_string(&self.interval_ms).as_str())?;
        }
        if self.burst != 0 {
            struct_ser.serialize_field("burst", &self.burst)?;
        }
        if !self.keys.is_empty() {
            struct_ser.serialize_field("keys", &self.keys)?;
        }
        if self.max_keys != 0 {
            struct_ser.serialize_field("max_keys", &self.max_keys)?;
        }
        if self.shadow {
            struct_ser.serialize_field("shadow", &self.shadow)?;
        }
        if !self.response_headers.is_empty() {
            struct_ser.serialize_field("response_headers", &self.response_headers)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for RateLimit {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "policy",
            "name",
            "origin",
            "connections",
            "ports",
            "matches",
            "amount",
            "interval_ms",
            "intervalMs",
            "burst",
            "keys",
            "max_keys",
            "maxKeys",
            "shadow",
            "response_headers",
            "responseHeaders",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Policy,
            Name,
            Origin,
            Connections,
            Ports,
            Matches,
            Amount,
            IntervalMs,
            Burst,
            Keys,
            MaxKeys,
            Shadow,
            ResponseHeaders,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "policy" => Ok(GeneratedField::Policy),
                            "name" => Ok(GeneratedField::Name),
                            "origin" => Ok(GeneratedField::Origin),
                            "connections" => Ok(GeneratedField::Connections),
                            "ports" => Ok(GeneratedField::Ports),
                            "matches" => Ok(GeneratedField::Matches),
                            "amount" => Ok(GeneratedField::Amount),
                            "intervalMs" | "interval_ms" => Ok(GeneratedField::IntervalMs),
                            "burst" => Ok(GeneratedField::Burst),
                            "keys" => Ok(GeneratedField::Keys),
                            "maxKeys" | "max_keys" => Ok(GeneratedField::MaxKeys),
                            "shadow" => Ok(GeneratedField::Shadow),
                            "responseHeaders" | "response_headers" => Ok(GeneratedField::ResponseHeaders),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = RateLimit;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.RateLimit")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<RateLimit, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut policy__ = None;
                let mut name__ = None;
                let mut origin__ = None;
                let mut connections__ = None;
                let mut ports__ = None;
                let mut matches__ = None;
                let mut amount__ = None;
                let mut interval_ms__ = None;
                let mut burst__ = None;
                let mut keys__ = None;
                let mut max_keys__ = None;
                let mut shadow__ = None;
                let mut response_headers__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Policy => {
                            if policy__.is_some() {
                                return Err(serde::de::Error::duplicate_field("policy"));
                            }
                            policy__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                        GeneratedField::Connections => {
                            if connections__.is_some() {
                                return Err(serde::de::Error::duplicate_field("connections"));
                            }
                            connections__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Ports => {
                            if ports__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ports"));
                            }
                            ports__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::NumberDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::Matches => {
                            if matches__.is_some() {
                                return Err(serde::de::Error::duplicate_field("matches"));
                            }
                            matches__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Amount => {
                            if amount__.is_some() {
                                return Err(serde::de::Error::duplicate_field("amount"));
                            }
                            amount__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::IntervalMs => {
                            if interval_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("intervalMs"));
                            }
                            interval_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Burst => {
                            if burst__.is_some() {
                                return Err(serde::de::Error::duplicate_field("burst"));
                            }
                            burst__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Keys => {
                            if keys__.is_some() {
                                return Err(serde::de::Error::duplicate_field("keys"));
                            }
                            keys__ = Some(map_.next_value()?);
                        }
                        GeneratedField::MaxKeys => {
                            if max_keys__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxKeys"));
                            }
                            max_keys__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Shadow => {
                            if shadow__.is_some() {
                                return Err(serde::de::Error::duplicate_field("shadow"));
                            }
                            shadow__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ResponseHeaders => {
                            if response_headers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("responseHeaders"));
                            }
                            response_headers__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(RateLimit {
                    policy: policy__.unwrap_or_default(),
                    name: name__.unwrap_or_default(),
                    origin: origin__,
                    connections: connections__.unwrap_or_default(),
                    ports: ports__.unwrap_or_default(),
                    matches: matches__.unwrap_or_default(),
                    amount: amount__.unwrap_or_default(),
                    interval_ms: interval_ms__.unwrap_or_default(),
                    burst: burst__.unwrap_or_default(),
                    keys: keys__.unwrap_or_default(),
                    max_keys: max_keys__.unwrap_or_default(),
                    shadow: shadow__.unwrap_or_default(),
                    response_headers: response_headers__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.RateLimit", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Redirect {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.uri.is_empty() {
            len += 1;
        }
        if !self.uri_prefix.is_empty() {
            len += 1;
        }
        if !self.authority.is_empty() {
            len += 1;
        }
        if !self.scheme.is_empty() {
            len += 1;
        }
        if self.port != 0 {
            len += 1;
        }
        if self.port_from_request {
            len += 1;
        }
        if self.code != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Redirect", len)?;
        if !self.uri.is_empty() {
            struct_ser.serialize_field("uri", &self.uri)?;
        }
        if !self.uri_prefix.is_empty() {
            struct_ser.serialize_field("uri_prefix", &self.uri_prefix)?;
        }
        if !self.authority.is_empty() {
            struct_ser.serialize_field("authority", &self.authority)?;
        }
        if !self.scheme.is_empty() {
            struct_ser.serialize_field("scheme", &self.scheme)?;
        }
        if self.port != 0 {
            struct_ser.serialize_field("port", &self.port)?;
        }
        if self.port_from_request {
            struct_ser.serialize_field("port_from_request", &self.port_from_request)?;
        }
        if self.code != 0 {
            struct_ser.serialize_field("code", &self.code)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Redirect {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "uri",
            "uri_prefix",
            "uriPrefix",
            "authority",
            "scheme",
            "port",
            "port_from_request",
            "portFromRequest",
            "code",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Uri,
            UriPrefix,
            Authority,
            Scheme,
            Port,
            PortFromRequest,
            Code,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "uri" => Ok(GeneratedField::Uri),
                            "uriPrefix" | "uri_prefix" => Ok(GeneratedField::UriPrefix),
                            "authority" => Ok(GeneratedField::Authority),
                            "scheme" => Ok(GeneratedField::Scheme),
                            "port" => Ok(GeneratedField::Port),
                            "portFromRequest" | "port_from_request" => Ok(GeneratedField::PortFromRequest),
                            "code" => Ok(GeneratedField::Code),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Redirect;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Redirect")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Redirect, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut uri__ = None;
                let mut uri_prefix__ = None;
                let mut authority__ = None;
                let mut scheme__ = None;
                let mut port__ = None;
                let mut port_from_request__ = None;
                let mut code__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Uri => {
                            if uri__.is_some() {
                                return Err(serde::de::Error::duplicate_field("uri"));
                            }
                            uri__ = Some(map_.next_value()?);
                        }
                        GeneratedField::UriPrefix => {
                            if uri_prefix__.is_some() {
                                return Err(serde::de::Error::duplicate_field("uriPrefix"));
                            }
                            uri_prefix__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Authority => {
                            if authority__.is_some() {
                                return Err(serde::de::Error::duplicate_field("authority"));
                            }
                            authority__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Scheme => {
                            if scheme__.is_some() {
                                return Err(serde::de::Error::duplicate_field("scheme"));
                            }
                            scheme__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Port => {
                            if port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("port"));
                            }
                            port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::PortFromRequest => {
                            if port_from_request__.is_some() {
                                return Err(serde::de::Error::duplicate_field("portFromRequest"));
                            }
                            port_from_request__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Code => {
                            if code__.is_some() {
                                return Err(serde::de::Error::duplicate_field("code"));
                            }
                            code__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Redirect {
                    uri: uri__.unwrap_or_default(),
                    uri_prefix: uri_prefix__.unwrap_or_default(),
                    authority: authority__.unwrap_or_default(),
                    scheme: scheme__.unwrap_or_default(),
                    port: port__.unwrap_or_default(),
                    port_from_request: port_from_request__.unwrap_or_default(),
                    code: code__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Redirect", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for RegionFailover {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.from.is_empty() {
            len += 1;
        }
        if !self.to.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.RegionFailover", len)?;
        if !self.from.is_empty() {
            struct_ser.serialize_field("from", &self.from)?;
        }
        if !self.to.is_empty() {
            struct_ser.serialize_field("to", &self.to)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for RegionFailover {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "from",
            "to",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            From,
            To,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "from" => Ok(GeneratedField::From),
                            "to" => Ok(GeneratedField::To),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = RegionFailover;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.RegionFailover")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<RegionFailover, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut from__ = None;
                let mut to__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::From => {
                            if from__.is_some() {
                                return Err(serde::de::Error::duplicate_field("from"));
                            }
                            from__ = Some(map_.next_value()?);
                        }
                        GeneratedField::To => {
                            if to__.is_some() {
                                return Err(serde::de::Error::duplicate_field("to"));
                            }
                            to__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(RegionFailover {
                    from: from__.unwrap_or_default(),
                    to: to__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.RegionFailover", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Registration {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.ports.is_empty() {
            len += 1;
        }
        if self.weight != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Registration", len)?;
        if !self.ports.is_empty() {
            struct_ser.serialize_field("ports", &self.ports)?;
        }
        if self.weight != 0 {
            struct_ser.serialize_field("weight", &self.weight)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Registration {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "ports",
            "weight",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Ports,
            Weight,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "ports" => Ok(GeneratedField::Ports),
                            "weight" => Ok(GeneratedField::Weight),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Registration;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Registration")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Registration, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut ports__ = None;
                let mut weight__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Ports => {
                            if ports__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ports"));
                            }
                            ports__ = Some(
                                map_.next_value::<std::collections::BTreeMap<_, ::pbjson::private::NumberDeserialize<u32>>>()?
                                    .into_iter().map(|(k,v)| (k, v.0)).collect()
                            );
                        }
                        GeneratedField::Weight => {
                            if weight__.is_some() {
                                return Err(serde::de::Error::duplicate_field("weight"));
                            }
                            weight__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Registration {
                    ports: ports__.unwrap_or_default(),
                    weight: weight__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Registration", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Rejection {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.resource.is_empty() {
            len += 1;
        }
        if !self.version.is_empty() {
            len += 1;
        }
        if !self.reason.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Rejection", len)?;
        if !self.resource.is_empty() {
            struct_ser.serialize_field("resource", &self.resource)?;
        }
        if !self.version.is_empty() {
            struct_ser.serialize_field("version", &self.version)?;
        }
        if !self.reason.is_empty() {
            struct_ser.serialize_field("reason", &self.reason)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Rejection {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "resource",
            "version",
            "reason",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Resource,
            Version,
            Reason,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "resource" => Ok(GeneratedField::Resource),
                            "version" => Ok(GeneratedField::Version),
                            "reason" => Ok(GeneratedField::Reason),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Rejection;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Rejection")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Rejection, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut resource__ = None;
                let mut version__ = None;
                let mut reason__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Resource => {
                            if resource__.is_some() {
                                return Err(serde::de::Error::duplicate_field("resource"));
                            }
                            resource__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Version => {
                            if version__.is_some() {
                                return Err(serde::de::Error::duplicate_field("version"));
                            }
                            version__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Reason => {
                            if reason__.is_some() {
                                return Err(serde::de::Error::duplicate_field("reason"));
                            }
                            reason__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Rejection {
                    resource: resource__.unwrap_or_default(),
                    version: version__.unwrap_or_default(),
                    reason: reason__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Rejection", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for RequestAuthentication {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.rules.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.RequestAuthentication", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.rules.is_empty() {
            struct_ser.serialize_field("rules", &self.rules)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for RequestAuthentication {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "rules",
            "origin",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Rules,
            Origin,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "rules" => Ok(GeneratedField::Rules),
                            "origin" => Ok(GeneratedField::Origin),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = RequestAuthentication;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.RequestAuthentication")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<RequestAuthentication, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut rules__ = None;
                let mut origin__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Rules => {
                            if rules__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rules"));
                            }
                            rules__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                    }
                }
                Ok(RequestAuthentication {
                    name: name__.unwrap_or_default(),
                    rules: rules__.unwrap_or_default(),
                    origin: origin__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.RequestAuthentication", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Resolution {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "RESOLUTION_UNSPECIFIED",
            Self::Static => "RESOLUTION_STATIC",
            Self::Dns => "RESOLUTION_DNS",
            Self::None => "RESOLUTION_NONE",
            Self::DnsRoundRobin => "RESOLUTION_DNS_ROUND_ROBIN",
            Self::DynamicDns => "RESOLUTION_DYNAMIC_DNS",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for Resolution {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "RESOLUTION_UNSPECIFIED",
            "RESOLUTION_STATIC",
            "RESOLUTION_DNS",
            "RESOLUTION_NONE",
            "RESOLUTION_DNS_ROUND_ROBIN",
            "RESOLUTION_DYNAMIC_DNS",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = Resolution;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "RESOLUTION_UNSPECIFIED" => Ok(Resolution::Unspecified),
                    "RESOLUTION_STATIC" => Ok(Resolution::Static),
                    "RESOLUTION_DNS" => Ok(Resolution::Dns),
                    "RESOLUTION_NONE" => Ok(Resolution::None),
                    "RESOLUTION_DNS_ROUND_ROBIN" => Ok(Resolution::DnsRoundRobin),
                    "RESOLUTION_DYNAMIC_DNS" => Ok(Resolution::DynamicDns),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for Resource {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.version.is_empty() {
            len += 1;
        }
        if self.body.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Resource", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.version.is_empty() {
            struct_ser.serialize_field("version", &self.version)?;
        }
        if let Some(v) = self.body.as_ref() {
            match v {
                resource::Body::Mesh(v) => {
                    struct_ser.serialize_field("mesh", v)?;
                }
                resource::Body::Service(v) => {
                    struct_ser.serialize_field("service", v)?;
                }
                resource::Body::Workload(v) => {
                    struct_ser.serialize_field("workload", v)?;
                }
                resource::Body::Routes(v) => {
                    struct_ser.serialize_field("routes", v)?;
                }
                resource::Body::Inbound(v) => {
                    struct_ser.serialize_field("inbound", v)?;
                }
                resource::Body::Gateway(v) => {
                    struct_ser.serialize_field("gateway", v)?;
                }
                resource::Body::Credential(v) => {
                    struct_ser.serialize_field("credential", v)?;
                }
                resource::Body::NameAddresses(v) => {
                    struct_ser.serialize_field("name_addresses", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Resource {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "version",
            "mesh",
            "service",
            "workload",
            "routes",
            "inbound",
            "gateway",
            "credential",
            "name_addresses",
            "nameAddresses",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Version,
            Mesh,
            Service,
            Workload,
            Routes,
            Inbound,
            Gateway,
            Credential,
            NameAddresses,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "version" => Ok(GeneratedField::Version),
                            "mesh" => Ok(GeneratedField::Mesh),
                            "service" => Ok(GeneratedField::Service),
                            "workload" => Ok(GeneratedField::Workload),
                            "routes" => Ok(GeneratedField::Routes),
                            "inbound" => Ok(GeneratedField::Inbound),
                            "gateway" => Ok(GeneratedField::Gateway),
                            "credential" => Ok(GeneratedField::Credential),
                            "nameAddresses" | "name_addresses" => Ok(GeneratedField::NameAddresses),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Resource;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Resource")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Resource, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut version__ = None;
                let mut body__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Version => {
                            if version__.is_some() {
                                return Err(serde::de::Error::duplicate_field("version"));
                            }
                            version__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Mesh => {
                            if body__.is_some() {
                                return Err(serde::de::Error::duplicate_field("mesh"));
                            }
                            body__ = map_.next_value::<::std::option::Option<_>>()?.map(resource::Body::Mesh)
;
                        }
                        GeneratedField::Service => {
                            if body__.is_some() {
                                return Err(serde::de::Error::duplicate_field("service"));
                            }
                            body__ = map_.next_value::<::std::option::Option<_>>()?.map(resource::Body::Service)
;
                        }
                        GeneratedField::Workload => {
                            if body__.is_some() {
                                return Err(serde::de::Error::duplicate_field("workload"));
                            }
                            body__ = map_.next_value::<::std::option::Option<_>>()?.map(resource::Body::Workload)
;
                        }
                        GeneratedField::Routes => {
                            if body__.is_some() {
                                return Err(serde::de::Error::duplicate_field("routes"));
                            }
                            body__ = map_.next_value::<::std::option::Option<_>>()?.map(resource::Body::Routes)
;
                        }
                        GeneratedField::Inbound => {
                            if body__.is_some() {
                                return Err(serde::de::Error::duplicate_field("inbound"));
                            }
                            body__ = map_.next_value::<::std::option::Option<_>>()?.map(resource::Body::Inbound)
;
                        }
                        GeneratedField::Gateway => {
                            if body__.is_some() {
                                return Err(serde::de::Error::duplicate_field("gateway"));
                            }
                            body__ = map_.next_value::<::std::option::Option<_>>()?.map(resource::Body::Gateway)
;
                        }
                        GeneratedField::Credential => {
                            if body__.is_some() {
                                return Err(serde::de::Error::duplicate_field("credential"));
                            }
                            body__ = map_.next_value::<::std::option::Option<_>>()?.map(resource::Body::Credential)
;
                        }
                        GeneratedField::NameAddresses => {
                            if body__.is_some() {
                                return Err(serde::de::Error::duplicate_field("nameAddresses"));
                            }
                            body__ = map_.next_value::<::std::option::Option<_>>()?.map(resource::Body::NameAddresses)
;
                        }
                    }
                }
                Ok(Resource {
                    name: name__.unwrap_or_default(),
                    version: version__.unwrap_or_default(),
                    body: body__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Resource", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Retry {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.attempts != 0 {
            len += 1;
        }
        if self.per_try_timeout_ms != 0 {
            len += 1;
        }
        if !self.retry_on.is_empty() {
            len += 1;
        }
        if !self.status_codes.is_empty() {
            len += 1;
        }
        if self.backoff_base_ms != 0 {
            len += 1;
        }
        if self.backoff_max_ms != 0 {
            len += 1;
        }
        if self.allow_previous_hosts {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Retry", len)?;
        if self.attempts != 0 {
            struct_ser.serialize_field("attempts", &self.attempts)?;
        }
        if self.per_try_timeout_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("per_try_timeout_ms", ToString::to_string(&self.per_try_timeout_ms).as_str())?;
        }
        if !self.retry_on.is_empty() {
            struct_ser.serialize_field("retry_on", &self.retry_on)?;
        }
        if !self.status_codes.is_empty() {
            struct_ser.serialize_field("status_codes", &self.status_codes)?;
        }
        if self.backoff_base_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("backoff_base_ms", ToString::to_string(&self.backoff_base_ms).as_str())?;
        }
        if self.backoff_max_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("backoff_max_ms", ToString::to_string(&self.backoff_max_ms).as_str())?;
        }
        if self.allow_previous_hosts {
            struct_ser.serialize_field("allow_previous_hosts", &self.allow_previous_hosts)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Retry {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "attempts",
            "per_try_timeout_ms",
            "perTryTimeoutMs",
            "retry_on",
            "retryOn",
            "status_codes",
            "statusCodes",
            "backoff_base_ms",
            "backoffBaseMs",
            "backoff_max_ms",
            "backoffMaxMs",
            "allow_previous_hosts",
            "allowPreviousHosts",
            "origin",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Attempts,
            PerTryTimeoutMs,
            RetryOn,
            StatusCodes,
            BackoffBaseMs,
            BackoffMaxMs,
            AllowPreviousHosts,
            Origin,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "attempts" => Ok(GeneratedField::Attempts),
                            "perTryTimeoutMs" | "per_try_timeout_ms" => Ok(GeneratedField::PerTryTimeoutMs),
                            "retryOn" | "retry_on" => Ok(GeneratedField::RetryOn),
                            "statusCodes" | "status_codes" => Ok(GeneratedField::StatusCodes),
                            "backoffBaseMs" | "backoff_base_ms" => Ok(GeneratedField::BackoffBaseMs),
                            "backoffMaxMs" | "backoff_max_ms" => Ok(GeneratedField::BackoffMaxMs),
                            "allowPreviousHosts" | "allow_previous_hosts" => Ok(GeneratedField::AllowPreviousHosts),
                            "origin" => Ok(GeneratedField::Origin),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Retry;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Retry")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Retry, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut attempts__ = None;
                let mut per_try_timeout_ms__ = None;
                let mut retry_on__ = None;
                let mut status_codes__ = None;
                let mut backoff_base_ms__ = None;
                let mut backoff_max_ms__ = None;
                let mut allow_previous_hosts__ = None;
                let mut origin__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Attempts => {
                            if attempts__.is_some() {
                                return Err(serde::de::Error::duplicate_field("attempts"));
                            }
                            attempts__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::PerTryTimeoutMs => {
                            if per_try_timeout_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("perTryTimeoutMs"));
                            }
                            per_try_timeout_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::RetryOn => {
                            if retry_on__.is_some() {
                                return Err(serde::de::Error::duplicate_field("retryOn"));
                            }
                            retry_on__ = Some(map_.next_value()?);
                        }
                        GeneratedField::StatusCodes => {
                            if status_codes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("statusCodes"));
                            }
                            status_codes__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::NumberDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::BackoffBaseMs => {
                            if backoff_base_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("backoffBaseMs"));
                            }
                            backoff_base_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::BackoffMaxMs => {
                            if backoff_max_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("backoffMaxMs"));
                            }
                            backoff_max_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::AllowPreviousHosts => {
                            if allow_previous_hosts__.is_some() {
                                return Err(serde::de::Error::duplicate_field("allowPreviousHosts"));
                            }
                            allow_previous_hosts__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                    }
                }
                Ok(Retry {
                    attempts: attempts__.unwrap_or_default(),
                    per_try_timeout_ms: per_try_timeout_ms__.unwrap_or_default(),
                    retry_on: retry_on__.unwrap_or_default(),
                    status_codes: status_codes__.unwrap_or_default(),
                    backoff_base_ms: backoff_base_ms__.unwrap_or_default(),
                    backoff_max_ms: backoff_max_ms__.unwrap_or_default(),
                    allow_previous_hosts: allow_previous_hosts__.unwrap_or_default(),
                    origin: origin__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Retry", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for RetryBudget {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.percent != 0. {
            len += 1;
        }
        if self.min_retry_concurrency != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.RetryBudget", len)?;
        if self.percent != 0. {
            struct_ser.serialize_field("percent", &self.percent)?;
        }
        if self.min_retry_concurrency != 0 {
            struct_ser.serialize_field("min_retry_concurrency", &self.min_retry_concurrency)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for RetryBudget {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "percent",
            "min_retry_concurrency",
            "minRetryConcurrency",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Percent,
            MinRetryConcurrency,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "percent" => Ok(GeneratedField::Percent),
                            "minRetryConcurrency" | "min_retry_concurrency" => Ok(GeneratedField::MinRetryConcurrency),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = RetryBudget;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.RetryBudget")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<RetryBudget, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut percent__ = None;
                let mut min_retry_concurrency__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Percent => {
                            if percent__.is_some() {
                                return Err(serde::de::Error::duplicate_field("percent"));
                            }
                            percent__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MinRetryConcurrency => {
                            if min_retry_concurrency__.is_some() {
                                return Err(serde::de::Error::duplicate_field("minRetryConcurrency"));
                            }
                            min_retry_concurrency__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(RetryBudget {
                    percent: percent__.unwrap_or_default(),
                    min_retry_concurrency: min_retry_concurrency__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.RetryBudget", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Rewrite {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.uri.is_empty() {
            len += 1;
        }
        if !self.authority.is_empty() {
            len += 1;
        }
        if !self.regex.is_empty() {
            len += 1;
        }
        if !self.regex_substitution.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Rewrite", len)?;
        if !self.uri.is_empty() {
            struct_ser.serialize_field("uri", &self.uri)?;
        }
        if !self.authority.is_empty() {
            struct_ser.serialize_field("authority", &self.authority)?;
        }
        if !self.regex.is_empty() {
            struct_ser.serialize_field("regex", &self.regex)?;
        }
        if !self.regex_substitution.is_empty() {
            struct_ser.serialize_field("regex_substitution", &self.regex_substitution)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Rewrite {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "uri",
            "authority",
            "regex",
            "regex_substitution",
            "regexSubstitution",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Uri,
            Authority,
            Regex,
            RegexSubstitution,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "uri" => Ok(GeneratedField::Uri),
                            "authority" => Ok(GeneratedField::Authority),
                            "regex" => Ok(GeneratedField::Regex),
                            "regexSubstitution" | "regex_substitution" => Ok(GeneratedField::RegexSubstitution),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Rewrite;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Rewrite")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Rewrite, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut uri__ = None;
                let mut authority__ = None;
                let mut regex__ = None;
                let mut regex_substitution__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Uri => {
                            if uri__.is_some() {
                                return Err(serde::de::Error::duplicate_field("uri"));
                            }
                            uri__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Authority => {
                            if authority__.is_some() {
                                return Err(serde::de::Error::duplicate_field("authority"));
                            }
                            authority__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Regex => {
                            if regex__.is_some() {
                                return Err(serde::de::Error::duplicate_field("regex"));
                            }
                            regex__ = Some(map_.next_value()?);
                        }
                        GeneratedField::RegexSubstitution => {
                            if regex_substitution__.is_some() {
                                return Err(serde::de::Error::duplicate_field("regexSubstitution"));
                            }
                            regex_substitution__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Rewrite {
                    uri: uri__.unwrap_or_default(),
                    authority: authority__.unwrap_or_default(),
                    regex: regex__.unwrap_or_default(),
                    regex_substitution: regex_substitution__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Rewrite", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for RouteTable {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.host.is_empty() {
            len += 1;
        }
        if self.port != 0 {
            len += 1;
        }
        if self.protocol != 0 {
            len += 1;
        }
        if !self.http.is_empty() {
            len += 1;
        }
        if !self.tls.is_empty() {
            len += 1;
        }
        if !self.tcp.is_empty() {
            len += 1;
        }
        if self.undeclared {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.RouteTable", len)?;
        if !self.host.is_empty() {
            struct_ser.serialize_field("host", &self.host)?;
        }
        if self.port != 0 {
            struct_ser.serialize_field("port", &self.port)?;
        }
        if self.protocol != 0 {
            let v = Protocol::try_from(self.protocol)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.protocol)))?;
            struct_ser.serialize_field("protocol", &v)?;
        }
        if !self.http.is_empty() {
            struct_ser.serialize_field("http", &self.http)?;
        }
        if !self.tls.is_empty() {
            struct_ser.serialize_field("tls", &self.tls)?;
        }
        if !self.tcp.is_empty() {
            struct_ser.serialize_field("tcp", &self.tcp)?;
        }
        if self.undeclared {
            struct_ser.serialize_field("undeclared", &self.undeclared)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for RouteTable {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "host",
            "port",
            "protocol",
            "http",
            "tls",
            "tcp",
            "undeclared",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Host,
            Port,
            Protocol,
            Http,
            Tls,
            Tcp,
            Undeclared,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "host" => Ok(GeneratedField::Host),
                            "port" => Ok(GeneratedField::Port),
                            "protocol" => Ok(GeneratedField::Protocol),
                            "http" => Ok(GeneratedField::Http),
                            "tls" => Ok(GeneratedField::Tls),
                            "tcp" => Ok(GeneratedField::Tcp),
                            "undeclared" => Ok(GeneratedField::Undeclared),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = RouteTable;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.RouteTable")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<RouteTable, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut host__ = None;
                let mut port__ = None;
                let mut protocol__ = None;
                let mut http__ = None;
                let mut tls__ = None;
                let mut tcp__ = None;
                let mut undeclared__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Host => {
                            if host__.is_some() {
                                return Err(serde::de::Error::duplicate_field("host"));
                            }
                            host__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Port => {
                            if port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("port"));
                            }
                            port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Protocol => {
                            if protocol__.is_some() {
                                return Err(serde::de::Error::duplicate_field("protocol"));
                            }
                            protocol__ = Some(map_.next_value::<Protocol>()? as i32);
                        }
                        GeneratedField::Http => {
                            if http__.is_some() {
                                return Err(serde::de::Error::duplicate_field("http"));
                            }
                            http__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Tls => {
                            if tls__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tls"));
                            }
                            tls__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Tcp => {
                            if tcp__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tcp"));
                            }
                            tcp__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Undeclared => {
                            if undeclared__.is_some() {
                                return Err(serde::de::Error::duplicate_field("undeclared"));
                            }
                            undeclared__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(RouteTable {
                    host: host__.unwrap_or_default(),
                    port: port__.unwrap_or_default(),
                    protocol: protocol__.unwrap_or_default(),
                    http: http__.unwrap_or_default(),
                    tls: tls__.unwrap_or_default(),
                    tcp: tcp__.unwrap_or_default(),
                    undeclared: undeclared__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.RouteTable", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ServerTlsFiles {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.certificate.is_empty() {
            len += 1;
        }
        if !self.private_key.is_empty() {
            len += 1;
        }
        if !self.client_roots.is_empty() {
            len += 1;
        }
        if !self.client_crl.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.ServerTlsFiles", len)?;
        if !self.certificate.is_empty() {
            struct_ser.serialize_field("certificate", &self.certificate)?;
        }
        if !self.private_key.is_empty() {
            struct_ser.serialize_field("private_key", &self.private_key)?;
        }
        if !self.client_roots.is_empty() {
            struct_ser.serialize_field("client_roots", &self.client_roots)?;
        }
        if !self.client_crl.is_empty() {
            struct_ser.serialize_field("client_crl", &self.client_crl)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ServerTlsFiles {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "certificate",
            "private_key",
            "privateKey",
            "client_roots",
            "clientRoots",
            "client_crl",
            "clientCrl",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Certificate,
            PrivateKey,
            ClientRoots,
            ClientCrl,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "certificate" => Ok(GeneratedField::Certificate),
                            "privateKey" | "private_key" => Ok(GeneratedField::PrivateKey),
                            "clientRoots" | "client_roots" => Ok(GeneratedField::ClientRoots),
                            "clientCrl" | "client_crl" => Ok(GeneratedField::ClientCrl),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ServerTlsFiles;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.ServerTlsFiles")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ServerTlsFiles, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut certificate__ = None;
                let mut private_key__ = None;
                let mut client_roots__ = None;
                let mut client_crl__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Certificate => {
                            if certificate__.is_some() {
                                return Err(serde::de::Error::duplicate_field("certificate"));
                            }
                            certificate__ = Some(map_.next_value()?);
                        }
                        GeneratedField::PrivateKey => {
                            if private_key__.is_some() {
                                return Err(serde::de::Error::duplicate_field("privateKey"));
                            }
                            private_key__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ClientRoots => {
                            if client_roots__.is_some() {
                                return Err(serde::de::Error::duplicate_field("clientRoots"));
                            }
                            client_roots__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ClientCrl => {
                            if client_crl__.is_some() {
                                return Err(serde::de::Error::duplicate_field("clientCrl"));
                            }
                            client_crl__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(ServerTlsFiles {
                    certificate: certificate__.unwrap_or_default(),
                    private_key: private_key__.unwrap_or_default(),
                    client_roots: client_roots__.unwrap_or_default(),
                    client_crl: client_crl__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.ServerTlsFiles", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Service {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.hostname.is_empty() {
            len += 1;
        }
        if !self.namespace.is_empty() {
            len += 1;
        }
        if !self.short_name.is_empty() {
            len += 1;
        }
        if !self.ports.is_empty() {
            len += 1;
        }
        if !self.addresses.is_empty() {
            len += 1;
        }
        if self.resolution != 0 {
            len += 1;
        }
        if self.mesh_external {
            len += 1;
        }
        if !self.subsets.is_empty() {
            len += 1;
        }
        if !self.subject_alt_names.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Service", len)?;
        if !self.hostname.is_empty() {
            struct_ser.serialize_field("hostname", &self.hostname)?;
        }
        if !self.namespace.is_empty() {
            struct_ser.serialize_field("namespace", &self.namespace)?;
        }
        if !self.short_name.is_empty() {
            struct_ser.serialize_field("short_name", &self.short_name)?;
        }
        if !self.ports.is_empty() {
            struct_ser.serialize_field("ports", &self.ports)?;
        }
        if !self.addresses.is_empty() {
            struct_ser.serialize_field("addresses", &self.addresses)?;
        }
        if self.resolution != 0 {
            let v = Resolution::try_from(self.resolution)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.resolution)))?;
            struct_ser.serialize_field("resolution", &v)?;
        }
        if self.mesh_external {
            struct_ser.serialize_field("mesh_external", &self.mesh_external)?;
        }
        if !self.subsets.is_empty() {
            struct_ser.serialize_field("subsets", &self.subsets)?;
        }
        if !self.subject_alt_names.is_empty() {
            struct_ser.serialize_field("subject_alt_names", &self.subject_alt_names)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Service {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "hostname",
            "namespace",
            "short_name",
            "shortName",
            "ports",
            "addresses",
            "resolution",
            "mesh_external",
            "meshExternal",
            "subsets",
            "subject_alt_names",
            "subjectAltNames",
            "origin",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Hostname,
            Namespace,
            ShortName,
            Ports,
            Addresses,
            Resolution,
            MeshExternal,
            Subsets,
            SubjectAltNames,
            Origin,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "hostname" => Ok(GeneratedField::Hostname),
                            "namespace" => Ok(GeneratedField::Namespace),
                            "shortName" | "short_name" => Ok(GeneratedField::ShortName),
                            "ports" => Ok(GeneratedField::Ports),
                            "addresses" => Ok(GeneratedField::Addresses),
                            "resolution" => Ok(GeneratedField::Resolution),
                            "meshExternal" | "mesh_external" => Ok(GeneratedField::MeshExternal),
                            "subsets" => Ok(GeneratedField::Subsets),
                            "subjectAltNames" | "subject_alt_names" => Ok(GeneratedField::SubjectAltNames),
                            "origin" => Ok(GeneratedField::Origin),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Service;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Service")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Service, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut hostname__ = None;
                let mut namespace__ = None;
                let mut short_name__ = None;
                let mut ports__ = None;
                let mut addresses__ = None;
                let mut resolution__ = None;
                let mut mesh_external__ = None;
                let mut subsets__ = None;
                let mut subject_alt_names__ = None;
                let mut origin__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Hostname => {
                            if hostname__.is_some() {
                                return Err(serde::de::Error::duplicate_field("hostname"));
                            }
                            hostname__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Namespace => {
                            if namespace__.is_some() {
                                return Err(serde::de::Error::duplicate_field("namespace"));
                            }
                            namespace__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ShortName => {
                            if short_name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("shortName"));
                            }
                            short_name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Ports => {
                            if ports__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ports"));
                            }
                            ports__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Addresses => {
                            if addresses__.is_some() {
                                return Err(serde::de::Error::duplicate_field("addresses"));
                            }
                            addresses__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Resolution => {
                            if resolution__.is_some() {
                                return Err(serde::de::Error::duplicate_field("resolution"));
                            }
                            resolution__ = Some(map_.next_value::<Resolution>()? as i32);
                        }
                        GeneratedField::MeshExternal => {
                            if mesh_external__.is_some() {
                                return Err(serde::de::Error::duplicate_field("meshExternal"));
                            }
                            mesh_external__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Subsets => {
                            if subsets__.is_some() {
                                return Err(serde::de::Error::duplicate_field("subsets"));
                            }
                            subsets__ = Some(map_.next_value()?);
                        }
                        GeneratedField::SubjectAltNames => {
                            if subject_alt_names__.is_some() {
                                return Err(serde::de::Error::duplicate_field("subjectAltNames"));
                            }
                            subject_alt_names__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                    }
                }
                Ok(Service {
                    hostname: hostname__.unwrap_or_default(),
                    namespace: namespace__.unwrap_or_default(),
                    short_name: short_name__.unwrap_or_default(),
                    ports: ports__.unwrap_or_default(),
                    addresses: addresses__.unwrap_or_default(),
                    resolution: resolution__.unwrap_or_default(),
                    mesh_external: mesh_external__.unwrap_or_default(),
                    subsets: subsets__.unwrap_or_default(),
                    subject_alt_names: subject_alt_names__.unwrap_or_default(),
                    origin: origin__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Service", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ServicePort {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.number != 0 {
            len += 1;
        }
        if !self.name.is_empty() {
            len += 1;
        }
        if self.protocol != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.ServicePort", len)?;
        if self.number != 0 {
            struct_ser.serialize_field("number", &self.number)?;
        }
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if self.protocol != 0 {
            let v = Protocol::try_from(self.protocol)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.protocol)))?;
            struct_ser.serialize_field("protocol", &v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ServicePort {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "number",
            "name",
            "protocol",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Number,
            Name,
            Protocol,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "number" => Ok(GeneratedField::Number),
                            "name" => Ok(GeneratedField::Name),
                            "protocol" => Ok(GeneratedField::Protocol),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ServicePort;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.ServicePort")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ServicePort, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut number__ = None;
                let mut name__ = None;
                let mut protocol__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Number => {
                            if number__.is_some() {
                                return Err(serde::de::Error::duplicate_field("number"));
                            }
                            number__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Protocol => {
                            if protocol__.is_some() {
                                return Err(serde::de::Error::duplicate_field("protocol"));
                            }
                            protocol__ = Some(map_.next_value::<Protocol>()? as i32);
                        }
                    }
                }
                Ok(ServicePort {
                    number: number__.unwrap_or_default(),
                    name: name__.unwrap_or_default(),
                    protocol: protocol__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.ServicePort", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Severity {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "SEVERITY_UNSPECIFIED",
            Self::Info => "SEVERITY_INFO",
            Self::Warning => "SEVERITY_WARNING",
            Self::Error => "SEVERITY_ERROR",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for Severity {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "SEVERITY_UNSPECIFIED",
            "SEVERITY_INFO",
            "SEVERITY_WARNING",
            "SEVERITY_ERROR",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = Severity;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "SEVERITY_UNSPECIFIED" => Ok(Severity::Unspecified),
                    "SEVERITY_INFO" => Ok(Severity::Info),
                    "SEVERITY_WARNING" => Ok(Severity::Warning),
                    "SEVERITY_ERROR" => Ok(Severity::Error),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for SignJwtRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.audience.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.SignJwtRequest", len)?;
        if !self.audience.is_empty() {
            struct_ser.serialize_field("audience", &self.audience)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for SignJwtRequest {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "audience",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Audience,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "audience" => Ok(GeneratedField::Audience),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = SignJwtRequest;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.SignJwtRequest")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<SignJwtRequest, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut audience__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Audience => {
                            if audience__.is_some() {
                                return Err(serde::de::Error::duplicate_field("audience"));
                            }
                            audience__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(SignJwtRequest {
                    audience: audience__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.SignJwtRequest", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for SignRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.csr_der.is_empty() {
            len += 1;
        }
        if self.ttl_seconds != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.SignRequest", len)?;
        if !self.csr_der.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("csr_der", pbjson::private::base64::encode(&self.csr_der).as_str())?;
        }
        if self.ttl_seconds != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("ttl_seconds", ToString::to_string(&self.ttl_seconds).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for SignRequest {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "csr_der",
            "csrDer",
            "ttl_seconds",
            "ttlSeconds",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            CsrDer,
            TtlSeconds,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "csrDer" | "csr_der" => Ok(GeneratedField::CsrDer),
                            "ttlSeconds" | "ttl_seconds" => Ok(GeneratedField::TtlSeconds),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = SignRequest;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.SignRequest")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<SignRequest, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut csr_der__ = None;
                let mut ttl_seconds__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::CsrDer => {
                            if csr_der__.is_some() {
                                return Err(serde::de::Error::duplicate_field("csrDer"));
                            }
                            csr_der__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::TtlSeconds => {
                            if ttl_seconds__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ttlSeconds"));
                            }
                            ttl_seconds__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(SignRequest {
                    csr_der: csr_der__.unwrap_or_default(),
                    ttl_seconds: ttl_seconds__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.SignRequest", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for SignResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.chain_der.is_empty() {
            len += 1;
        }
        if !self.roots_der.is_empty() {
            len += 1;
        }
        if !self.identity.is_empty() {
            len += 1;
        }
        if self.not_before != 0 {
            len += 1;
        }
        if self.not_after != 0 {
            len += 1;
        }
        if !self.jwks.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.SignResponse", len)?;
        if !self.chain_der.is_empty() {
            struct_ser.serialize_field("chain_der", &self.chain_der.iter().map(pbjson::private::base64::encode).collect::<Vec<_>>())?;
        }
        if !self.roots_der.is_empty() {
            struct_ser.serialize_field("roots_der", &self.roots_der.iter().map(pbjson::private::base64::encode).collect::<Vec<_>>())?;
        }
        if !self.identity.is_empty() {
            struct_ser.serialize_field("identity", &self.identity)?;
        }
        if self.not_before != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("not_before", ToString::to_string(&self.not_before).as_str())?;
        }
        if self.not_after != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("not_after", ToString::to_string(&self.not_after).as_str())?;
        }
        if !self.jwks.is_empty() {
            struct_ser.serialize_field("jwks", &self.jwks)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for SignResponse {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "chain_der",
            "chainDer",
            "roots_der",
            "rootsDer",
            "identity",
            "not_before",
            "notBefore",
            "not_after",
            "notAfter",
            "jwks",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            ChainDer,
            RootsDer,
            Identity,
            NotBefore,
            NotAfter,
            Jwks,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "chainDer" | "chain_der" => Ok(GeneratedField::ChainDer),
                            "rootsDer" | "roots_der" => Ok(GeneratedField::RootsDer),
                            "identity" => Ok(GeneratedField::Identity),
                            "notBefore" | "not_before" => Ok(GeneratedField::NotBefore),
                            "notAfter" | "not_after" => Ok(GeneratedField::NotAfter),
                            "jwks" => Ok(GeneratedField::Jwks),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = SignResponse;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.SignResponse")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<SignResponse, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut chain_der__ = None;
                let mut roots_der__ = None;
                let mut identity__ = None;
                let mut not_before__ = None;
                let mut not_after__ = None;
                let mut jwks__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::ChainDer => {
                            if chain_der__.is_some() {
                                return Err(serde::de::Error::duplicate_field("chainDer"));
                            }
                            chain_der__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::BytesDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::RootsDer => {
                            if roots_der__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rootsDer"));
                            }
                            roots_der__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::BytesDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::Identity => {
                            if identity__.is_some() {
                                return Err(serde::de::Error::duplicate_field("identity"));
                            }
                            identity__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotBefore => {
                            if not_before__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notBefore"));
                            }
                            not_before__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::NotAfter => {
                            if not_after__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notAfter"));
                            }
                            not_after__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Jwks => {
                            if jwks__.is_some() {
                                return Err(serde::de::Error::duplicate_field("jwks"));
                            }
                            jwks__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(SignResponse {
                    chain_der: chain_der__.unwrap_or_default(),
                    roots_der: roots_der__.unwrap_or_default(),
                    identity: identity__.unwrap_or_default(),
                    not_before: not_before__.unwrap_or_default(),
                    not_after: not_after__.unwrap_or_default(),
                    jwks: jwks__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.SignResponse", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for SpanTag {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.default_value.is_empty() {
            len += 1;
        }
        if self.from.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.SpanTag", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.default_value.is_empty() {
            struct_ser.serialize_field("default_value", &self.default_value)?;
        }
        if let Some(v) = self.from.as_ref() {
            match v {
                span_tag::From::Literal(v) => {
                    struct_ser.serialize_field("literal", v)?;
                }
                span_tag::From::Environment(v) => {
                    struct_ser.serialize_field("environment", v)?;
                }
                span_tag::From::Header(v) => {
                    struct_ser.serialize_field("header", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for SpanTag {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "default_value",
            "defaultValue",
            "literal",
            "environment",
            "header",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            DefaultValue,
            Literal,
            Environment,
            Header,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "defaultValue" | "default_value" => Ok(GeneratedField::DefaultValue),
                            "literal" => Ok(GeneratedField::Literal),
                            "environment" => Ok(GeneratedField::Environment),
                            "header" => Ok(GeneratedField::Header),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = SpanTag;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.SpanTag")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<SpanTag, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut default_value__ = None;
                let mut from__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::DefaultValue => {
                            if default_value__.is_some() {
                                return Err(serde::de::Error::duplicate_field("defaultValue"));
                            }
                            default_value__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Literal => {
                            if from__.is_some() {
                                return Err(serde::de::Error::duplicate_field("literal"));
                            }
                            from__ = map_.next_value::<::std::option::Option<_>>()?.map(span_tag::From::Literal);
                        }
                        GeneratedField::Environment => {
                            if from__.is_some() {
                                return Err(serde::de::Error::duplicate_field("environment"));
                            }
                            from__ = map_.next_value::<::std::option::Option<_>>()?.map(span_tag::From::Environment);
                        }
                        GeneratedField::Header => {
                            if from__.is_some() {
                                return Err(serde::de::Error::duplicate_field("header"));
                            }
                            from__ = map_.next_value::<::std::option::Option<_>>()?.map(span_tag::From::Header);
                        }
                    }
                }
                Ok(SpanTag {
                    name: name__.unwrap_or_default(),
                    default_value: default_value__.unwrap_or_default(),
                    from: from__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.SpanTag", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for StatusRange {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.from != 0 {
            len += 1;
        }
        if self.to != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.StatusRange", len)?;
        if self.from != 0 {
            struct_ser.serialize_field("from", &self.from)?;
        }
        if self.to != 0 {
            struct_ser.serialize_field("to", &self.to)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for StatusRange {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "from",
            "to",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            From,
            To,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "from" => Ok(GeneratedField::From),
                            "to" => Ok(GeneratedField::To),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = StatusRange;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.StatusRange")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<StatusRange, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut from__ = None;
                let mut to__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::From => {
                            if from__.is_some() {
                                return Err(serde::de::Error::duplicate_field("from"));
                            }
                            from__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::To => {
                            if to__.is_some() {
                                return Err(serde::de::Error::duplicate_field("to"));
                            }
                            to__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(StatusRange {
                    from: from__.unwrap_or_default(),
                    to: to__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.StatusRange", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for StringMatch {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.kind.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.StringMatch", len)?;
        if let Some(v) = self.kind.as_ref() {
            match v {
                string_match::Kind::Exact(v) => {
                    struct_ser.serialize_field("exact", v)?;
                }
                string_match::Kind::Prefix(v) => {
                    struct_ser.serialize_field("prefix", v)?;
                }
                string_match::Kind::Regex(v) => {
                    struct_ser.serialize_field("regex", v)?;
                }
                string_match::Kind::Present(v) => {
                    struct_ser.serialize_field("present", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for StringMatch {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "exact",
            "prefix",
            "regex",
            "present",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Exact,
            Prefix,
            Regex,
            Present,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "exact" => Ok(GeneratedField::Exact),
                            "prefix" => Ok(GeneratedField::Prefix),
                            "regex" => Ok(GeneratedField::Regex),
                            "present" => Ok(GeneratedField::Present),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = StringMatch;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.StringMatch")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<StringMatch, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut kind__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Exact => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("exact"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<_>>()?.map(string_match::Kind::Exact);
                        }
                        GeneratedField::Prefix => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("prefix"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<_>>()?.map(string_match::Kind::Prefix);
                        }
                        GeneratedField::Regex => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("regex"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<_>>()?.map(string_match::Kind::Regex);
                        }
                        GeneratedField::Present => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("present"));
                            }
                            kind__ = map_.next_value::<::std::option::Option<_>>()?.map(string_match::Kind::Present);
                        }
                    }
                }
                Ok(StringMatch {
                    kind: kind__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.StringMatch", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Subset {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.labels.is_empty() {
            len += 1;
        }
        if !self.policies.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Subset", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.labels.is_empty() {
            struct_ser.serialize_field("labels", &self.labels)?;
        }
        if !self.policies.is_empty() {
            struct_ser.serialize_field("policies", &self.policies)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Subset {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "labels",
            "policies",
            "origin",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Labels,
            Policies,
            Origin,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "labels" => Ok(GeneratedField::Labels),
                            "policies" => Ok(GeneratedField::Policies),
                            "origin" => Ok(GeneratedField::Origin),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Subset;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Subset")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Subset, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut labels__ = None;
                let mut policies__ = None;
                let mut origin__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Labels => {
                            if labels__.is_some() {
                                return Err(serde::de::Error::duplicate_field("labels"));
                            }
                            labels__ = Some(
                                map_.next_value::<std::collections::BTreeMap<_, _>>()?
                            );
                        }
                        GeneratedField::Policies => {
                            if policies__.is_some() {
                                return Err(serde::de::Error::duplicate_field("policies"));
                            }
                            policies__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                    }
                }
                Ok(Subset {
                    name: name__.unwrap_or_default(),
                    labels: labels__.unwrap_or_default(),
                    policies: policies__.unwrap_or_default(),
                    origin: origin__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Subset", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TagOverride {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if self.value.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.TagOverride", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if let Some(v) = self.value.as_ref() {
            struct_ser.serialize_field("value", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TagOverride {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "value",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Value,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "name" => Ok(GeneratedField::Name),
                            "value" => Ok(GeneratedField::Value),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TagOverride;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TagOverride")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TagOverride, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut value__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Value => {
                            if value__.is_some() {
                                return Err(serde::de::Error::duplicate_field("value"));
                            }
                            value__ = map_.next_value()?;
                        }
                    }
                }
                Ok(TagOverride {
                    name: name__.unwrap_or_default(),
                    value: value__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TagOverride", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TagValue {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.source.is_empty() {
            len += 1;
        }
        if self.expression.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.TagValue", len)?;
        if !self.source.is_empty() {
            struct_ser.serialize_field("source", &self.source)?;
        }
        if let Some(v) = self.expression.as_ref() {
            struct_ser.serialize_field("expression", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TagValue {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "source",
            "expression",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Source,
            Expression,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "source" => Ok(GeneratedField::Source),
                            "expression" => Ok(GeneratedField::Expression),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TagValue;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TagValue")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TagValue, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut source__ = None;
                let mut expression__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Source => {
                            if source__.is_some() {
                                return Err(serde::de::Error::duplicate_field("source"));
                            }
                            source__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Expression => {
                            if expression__.is_some() {
                                return Err(serde::de::Error::duplicate_field("expression"));
                            }
                            expression__ = map_.next_value()?;
                        }
                    }
                }
                Ok(TagValue {
                    source: source__.unwrap_or_default(),
                    expression: expression__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TagValue", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TcpKeepalive {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.probes != 0 {
            len += 1;
        }
        if self.time_seconds != 0 {
            len += 1;
        }
        if self.interval_seconds != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.TcpKeepalive", len)?;
        if self.probes != 0 {
            struct_ser.serialize_field("probes", &self.probes)?;
        }
        if self.time_seconds != 0 {
            struct_ser.serialize_field("time_seconds", &self.time_seconds)?;
        }
        if self.interval_seconds != 0 {
            struct_ser.serialize_field("interval_seconds", &self.interval_seconds)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TcpKeepalive {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "probes",
            "time_seconds",
            "timeSeconds",
            "interval_seconds",
            "intervalSeconds",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Probes,
            TimeSeconds,
            IntervalSeconds,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "probes" => Ok(GeneratedField::Probes),
                            "timeSeconds" | "time_seconds" => Ok(GeneratedField::TimeSeconds),
                            "intervalSeconds" | "interval_seconds" => Ok(GeneratedField::IntervalSeconds),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TcpKeepalive;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TcpKeepalive")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TcpKeepalive, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut probes__ = None;
                let mut time_seconds__ = None;
                let mut interval_seconds__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Probes => {
                            if probes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("probes"));
                            }
                            probes__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::TimeSeconds => {
                            if time_seconds__.is_some() {
                                return Err(serde::de::Error::duplicate_field("timeSeconds"));
                            }
                            time_seconds__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::IntervalSeconds => {
                            if interval_seconds__.is_some() {
                                return Err(serde::de::Error::duplicate_field("intervalSeconds"));
                            }
                            interval_seconds__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(TcpKeepalive {
                    probes: probes__.unwrap_or_default(),
                    time_seconds: time_seconds__.unwrap_or_default(),
                    interval_seconds: interval_seconds__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TcpKeepalive", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TcpProbe {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("mesh.v1.TcpProbe", len)?;
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TcpProbe {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                            Err(serde::de::Error::unknown_field(value, FIELDS))
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TcpProbe;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TcpProbe")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TcpProbe, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                while map_.next_key::<GeneratedField>()?.is_some() {
                    let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                }
                Ok(TcpProbe {
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TcpProbe", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TcpRoute {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.destination_subnets.is_empty() {
            len += 1;
        }
        if !self.destinations.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.TcpRoute", len)?;
        if !self.destination_subnets.is_empty() {
            struct_ser.serialize_field("destination_subnets", &self.destination_subnets)?;
        }
        if !self.destinations.is_empty() {
            struct_ser.serialize_field("destinations", &self.destinations)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TcpRoute {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "destination_subnets",
            "destinationSubnets",
            "destinations",
            "origin",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            DestinationSubnets,
            Destinations,
            Origin,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "destinationSubnets" | "destination_subnets" => Ok(GeneratedField::DestinationSubnets),
                            "destinations" => Ok(GeneratedField::Destinations),
                            "origin" => Ok(GeneratedField::Origin),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TcpRoute;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TcpRoute")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TcpRoute, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut destination_subnets__ = None;
                let mut destinations__ = None;
                let mut origin__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::DestinationSubnets => {
                            if destination_subnets__.is_some() {
                                return Err(serde::de::Error::duplicate_field("destinationSubnets"));
                            }
                            destination_subnets__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Destinations => {
                            if destinations__.is_some() {
                                return Err(serde::de::Error::duplicate_field("destinations"));
                            }
                            destinations__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                    }
                }
                Ok(TcpRoute {
                    destination_subnets: destination_subnets__.unwrap_or_default(),
                    destinations: destinations__.unwrap_or_default(),
                    origin: origin__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TcpRoute", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Telemetry {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.client.is_some() {
            len += 1;
        }
        if self.server.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Telemetry", len)?;
        if let Some(v) = self.client.as_ref() {
            struct_ser.serialize_field("client", v)?;
        }
        if let Some(v) = self.server.as_ref() {
            struct_ser.serialize_field("server", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Telemetry {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "client",
            "server",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Client,
            Server,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "client" => Ok(GeneratedField::Client),
                            "server" => Ok(GeneratedField::Server),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Telemetry;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Telemetry")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Telemetry, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut client__ = None;
                let mut server__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Client => {
                            if client__.is_some() {
                                return Err(serde::de::Error::duplicate_field("client"));
                            }
                            client__ = map_.next_value()?;
                        }
                        GeneratedField::Server => {
                            if server__.is_some() {
                                return Err(serde::de::Error::duplicate_field("server"));
                            }
                            server__ = map_.next_value()?;
                        }
                    }
                }
                Ok(Telemetry {
                    client: client__,
                    server: server__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Telemetry", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TelemetryMetric {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "TELEMETRY_METRIC_UNSPECIFIED",
            Self::RequestCount => "TELEMETRY_METRIC_REQUEST_COUNT",
            Self::RequestDuration => "TELEMETRY_METRIC_REQUEST_DURATION",
            Self::RequestSize => "TELEMETRY_METRIC_REQUEST_SIZE",
            Self::ResponseSize => "TELEMETRY_METRIC_RESPONSE_SIZE",
            Self::TcpOpenedConnections => "TELEMETRY_METRIC_TCP_OPENED_CONNECTIONS",
            Self::TcpClosedConnections => "TELEMETRY_METRIC_TCP_CLOSED_CONNECTIONS",
            Self::TcpSentBytes => "TELEMETRY_METRIC_TCP_SENT_BYTES",
            Self::TcpReceivedBytes => "TELEMETRY_METRIC_TCP_RECEIVED_BYTES",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for TelemetryMetric {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "TELEMETRY_METRIC_UNSPECIFIED",
            "TELEMETRY_METRIC_REQUEST_COUNT",
            "TELEMETRY_METRIC_REQUEST_DURATION",
            "TELEMETRY_METRIC_REQUEST_SIZE",
            "TELEMETRY_METRIC_RESPONSE_SIZE",
            "TELEMETRY_METRIC_TCP_OPENED_CONNECTIONS",
            "TELEMETRY_METRIC_TCP_CLOSED_CONNECTIONS",
            "TELEMETRY_METRIC_TCP_SENT_BYTES",
            "TELEMETRY_METRIC_TCP_RECEIVED_BYTES",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = TelemetryMetric;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "TELEMETRY_METRIC_UNSPECIFIED" => Ok(TelemetryMetric::Unspecified),
                    "TELEMETRY_METRIC_REQUEST_COUNT" => Ok(TelemetryMetric::RequestCount),
                    "TELEMETRY_METRIC_REQUEST_DURATION" => Ok(TelemetryMetric::RequestDuration),
                    "TELEMETRY_METRIC_REQUEST_SIZE" => Ok(TelemetryMetric::RequestSize),
                    "TELEMETRY_METRIC_RESPONSE_SIZE" => Ok(TelemetryMetric::ResponseSize),
                    "TELEMETRY_METRIC_TCP_OPENED_CONNECTIONS" => Ok(TelemetryMetric::TcpOpenedConnections),
                    "TELEMETRY_METRIC_TCP_CLOSED_CONNECTIONS" => Ok(TelemetryMetric::TcpClosedConnections),
                    "TELEMETRY_METRIC_TCP_SENT_BYTES" => Ok(TelemetryMetric::TcpSentBytes),
                    "TELEMETRY_METRIC_TCP_RECEIVED_BYTES" => Ok(TelemetryMetric::TcpReceivedBytes),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for TelemetrySide {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.metrics.is_empty() {
            len += 1;
        }
        if self.access_log.is_some() {
            len += 1;
        }
        if self.tracing.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.TelemetrySide", len)?;
        if !self.metrics.is_empty() {
            struct_ser.serialize_field("metrics", &self.metrics)?;
        }
        if let Some(v) = self.access_log.as_ref() {
            struct_ser.serialize_field("access_log", v)?;
        }
        if let Some(v) = self.tracing.as_ref() {
            struct_ser.serialize_field("tracing", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TelemetrySide {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "metrics",
            "access_log",
            "accessLog",
            "tracing",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Metrics,
            AccessLog,
            Tracing,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "metrics" => Ok(GeneratedField::Metrics),
                            "accessLog" | "access_log" => Ok(GeneratedField::AccessLog),
                            "tracing" => Ok(GeneratedField::Tracing),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TelemetrySide;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TelemetrySide")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TelemetrySide, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut metrics__ = None;
                let mut access_log__ = None;
                let mut tracing__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Metrics => {
                            if metrics__.is_some() {
                                return Err(serde::de::Error::duplicate_field("metrics"));
                            }
                            metrics__ = Some(map_.next_value()?);
                        }
                        GeneratedField::AccessLog => {
                            if access_log__.is_some() {
                                return Err(serde::de::Error::duplicate_field("accessLog"));
                            }
                            access_log__ = map_.next_value()?;
                        }
                        GeneratedField::Tracing => {
                            if tracing__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tracing"));
                            }
                            tracing__ = map_.next_value()?;
                        }
                    }
                }
                Ok(TelemetrySide {
                    metrics: metrics__.unwrap_or_default(),
                    access_log: access_log__,
                    tracing: tracing__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TelemetrySide", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TlsRoute {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.sni_hosts.is_empty() {
            len += 1;
        }
        if !self.destination_subnets.is_empty() {
            len += 1;
        }
        if !self.destinations.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.TlsRoute", len)?;
        if !self.sni_hosts.is_empty() {
            struct_ser.serialize_field("sni_hosts", &self.sni_hosts)?;
        }
        if !self.destination_subnets.is_empty() {
            struct_ser.serialize_field("destination_subnets", &self.destination_subnets)?;
        }
        if !self.destinations.is_empty() {
            struct_ser.serialize_field("destinations", &self.destinations)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TlsRoute {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "sni_hosts",
            "sniHosts",
            "destination_subnets",
            "destinationSubnets",
            "destinations",
            "origin",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            SniHosts,
            DestinationSubnets,
            Destinations,
            Origin,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "sniHosts" | "sni_hosts" => Ok(GeneratedField::SniHosts),
                            "destinationSubnets" | "destination_subnets" => Ok(GeneratedField::DestinationSubnets),
                            "destinations" => Ok(GeneratedField::Destinations),
                            "origin" => Ok(GeneratedField::Origin),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TlsRoute;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TlsRoute")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TlsRoute, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut sni_hosts__ = None;
                let mut destination_subnets__ = None;
                let mut destinations__ = None;
                let mut origin__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::SniHosts => {
                            if sni_hosts__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sniHosts"));
                            }
                            sni_hosts__ = Some(map_.next_value()?);
                        }
                        GeneratedField::DestinationSubnets => {
                            if destination_subnets__.is_some() {
                                return Err(serde::de::Error::duplicate_field("destinationSubnets"));
                            }
                            destination_subnets__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Destinations => {
                            if destinations__.is_some() {
                                return Err(serde::de::Error::duplicate_field("destinations"));
                            }
                            destinations__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                    }
                }
                Ok(TlsRoute {
                    sni_hosts: sni_hosts__.unwrap_or_default(),
                    destination_subnets: destination_subnets__.unwrap_or_default(),
                    destinations: destinations__.unwrap_or_default(),
                    origin: origin__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TlsRoute", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TlsServer {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.sni_hosts.is_empty() {
            len += 1;
        }
        if self.mode != 0 {
            len += 1;
        }
        if self.protocol != 0 {
            len += 1;
        }
        if !self.credential.is_empty() {
            len += 1;
        }
        if self.files.is_some() {
            len += 1;
        }
        if !self.subject_alt_names.is_empty() {
            len += 1;
        }
        if !self.spki_hashes.is_empty() {
            len += 1;
        }
        if !self.certificate_hashes.is_empty() {
            len += 1;
        }
        if self.min_version != 0 {
            len += 1;
        }
        if self.max_version != 0 {
            len += 1;
        }
        if !self.cipher_suites.is_empty() {
            len += 1;
        }
        if !self.hosts.is_empty() {
            len += 1;
        }
        if !self.tcp.is_empty() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        if !self.unusable.is_empty() {
            len += 1;
        }
        if !self.more_credentials.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.TlsServer", len)?;
        if !self.sni_hosts.is_empty() {
            struct_ser.serialize_field("sni_hosts", &self.sni_hosts)?;
        }
        if self.mode != 0 {
            let v = TlsServerMode::try_from(self.mode)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.mode)))?;
            struct_ser.serialize_field("mode", &v)?;
        }
        if self.protocol != 0 {
            let v = Protocol::try_from(self.protocol)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.protocol)))?;
            struct_ser.serialize_field("protocol", &v)?;
        }
        if !self.credential.is_empty() {
            struct_ser.serialize_field("credential", &self.credential)?;
        }
        if let Some(v) = self.files.as_ref() {
            struct_ser.serialize_field("files", v)?;
        }
        if !self.subject_alt_names.is_empty() {
            struct_ser.serialize_field("subject_alt_names", &self.subject_alt_names)?;
        }
        if !self.spki_hashes.is_empty() {
            struct_ser.serialize_field("spki_hashes", &self.spki_hashes.iter().map(pbjson::private::base64::encode).collect::<Vec<_>>())?;
        }
        if !self.certificate_hashes.is_empty() {
            struct_ser.serialize_field("certificate_hashes", &self.certificate_hashes.iter().map(pbjson::private::base64::encode).collect::<Vec<_>>())?;
        }
        if self.min_version != 0 {
            let v = TlsVersion::try_from(self.min_version)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.min_version)))?;
            struct_ser.serialize_field("min_version", &v)?;
        }
        if self.max_version != 0 {
            let v = TlsVersion::try_from(self.max_version)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.max_version)))?;
            struct_ser.serialize_field("max_version", &v)?;
        }
        if !self.cipher_suites.is_empty() {
            struct_ser.serialize_field("cipher_suites", &self.cipher_suites)?;
        }
        if !self.hosts.is_empty() {
            struct_ser.serialize_field("hosts", &self.hosts)?;
        }
        if !self.tcp.is_empty() {
            struct_ser.serialize_field("tcp", &self.tcp)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        if !self.unusable.is_empty() {
            struct_ser.serialize_field("unusable", &self.unusable)?;
        }
        if !self.more_credentials.is_empty() {
            struct_ser.serialize_field("more_credentials", &self.more_credentials)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TlsServer {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "sni_hosts",
            "sniHosts",
            "mode",
            "protocol",
            "credential",
            "files",
            "subject_alt_names",
            "subjectAltNames",
            "spki_hashes",
            "spkiHashes",
            "certificate_hashes",
            "certificateHashes",
            "min_version",
            "minVersion",
            "max_version",
            "maxVersion",
            "cipher_suites",
            "cipherSuites",
            "hosts",
            "tcp",
            "origin",
            "unusable",
            "more_credentials",
            "moreCredentials",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            SniHosts,
            Mode,
            Protocol,
            Credential,
            Files,
            SubjectAltNames,
            SpkiHashes,
            CertificateHashes,
            MinVersion,
            MaxVersion,
            CipherSuites,
            Hosts,
            Tcp,
            Origin,
            Unusable,
            MoreCredentials,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "sniHosts" | "sni_hosts" => Ok(GeneratedField::SniHosts),
                            "mode" => Ok(GeneratedField::Mode),
                            "protocol" => Ok(GeneratedField::Protocol),
                            "credential" => Ok(GeneratedField::Credential),
                            "files" => Ok(GeneratedField::Files),
                            "subjectAltNames" | "subject_alt_names" => Ok(GeneratedField::SubjectAltNames),
                            "spkiHashes" | "spki_hashes" => Ok(GeneratedField::SpkiHashes),
                            "certificateHashes" | "certificate_hashes" => Ok(GeneratedField::CertificateHashes),
                            "minVersion" | "min_version" => Ok(GeneratedField::MinVersion),
                            "maxVersion" | "max_version" => Ok(GeneratedField::MaxVersion),
                            "cipherSuites" | "cipher_suites" => Ok(GeneratedField::CipherSuites),
                            "hosts" => Ok(GeneratedField::Hosts),
                            "tcp" => Ok(GeneratedField::Tcp),
                            "origin" => Ok(GeneratedField::Origin),
                            "unusable" => Ok(GeneratedField::Unusable),
                            "moreCredentials" | "more_credentials" => Ok(GeneratedField::MoreCredentials),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TlsServer;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TlsServer")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TlsServer, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut sni_hosts__ = None;
                let mut mode__ = None;
                let mut protocol__ = None;
                let mut credential__ = None;
                let mut files__ = None;
                let mut subject_alt_names__ = None;
                let mut spki_hashes__ = None;
                let mut certificate_hashes__ = None;
                let mut min_version__ = None;
                let mut max_version__ = None;
                let mut cipher_suites__ = None;
                let mut hosts__ = None;
                let mut tcp__ = None;
                let mut origin__ = None;
                let mut unusable__ = None;
                let mut more_credentials__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::SniHosts => {
                            if sni_hosts__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sniHosts"));
                            }
                            sni_hosts__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Mode => {
                            if mode__.is_some() {
                                return Err(serde::de::Error::duplicate_field("mode"));
                            }
                            mode__ = Some(map_.next_value::<TlsServerMode>()? as i32);
                        }
                        GeneratedField::Protocol => {
                            if protocol__.is_some() {
                                return Err(serde::de::Error::duplicate_field("protocol"));
                            }
                            protocol__ = Some(map_.next_value::<Protocol>()? as i32);
                        }
                        GeneratedField::Credential => {
                            if credential__.is_some() {
                                return Err(serde::de::Error::duplicate_field("credential"));
                            }
                            credential__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Files => {
                            if files__.is_some() {
                                return Err(serde::de::Error::duplicate_field("files"));
                            }
                            files__ = map_.next_value()?;
                        }
                        GeneratedField::SubjectAltNames => {
                            if subject_alt_names__.is_some() {
                                return Err(serde::de::Error::duplicate_field("subjectAltNames"));
                            }
                            subject_alt_names__ = Some(map_.next_value()?);
                        }
                        GeneratedField::SpkiHashes => {
                            if spki_hashes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("spkiHashes"));
                            }
                            spki_hashes__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::BytesDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::CertificateHashes => {
                            if certificate_hashes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("certificateHashes"));
                            }
                            certificate_hashes__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::BytesDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::MinVersion => {
                            if min_version__.is_some() {
                                return Err(serde::de::Error::duplicate_field("minVersion"));
                            }
                            min_version__ = Some(map_.next_value::<TlsVersion>()? as i32);
                        }
                        GeneratedField::MaxVersion => {
                            if max_version__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxVersion"));
                            }
                            max_version__ = Some(map_.next_value::<TlsVersion>()? as i32);
                        }
                        GeneratedField::CipherSuites => {
                            if cipher_suites__.is_some() {
                                return Err(serde::de::Error::duplicate_field("cipherSuites"));
                            }
                            cipher_suites__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Hosts => {
                            if hosts__.is_some() {
                                return Err(serde::de::Error::duplicate_field("hosts"));
                            }
                            hosts__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Tcp => {
                            if tcp__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tcp"));
                            }
                            tcp__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                        GeneratedField::Unusable => {
                            if unusable__.is_some() {
                                return Err(serde::de::Error::duplicate_field("unusable"));
                            }
                            unusable__ = Some(map_.next_value()?);
                        }
                        GeneratedField::MoreCredentials => {
                            if more_credentials__.is_some() {
                                return Err(serde::de::Error::duplicate_field("moreCredentials"));
                            }
                            more_credentials__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(TlsServer {
                    sni_hosts: sni_hosts__.unwrap_or_default(),
                    mode: mode__.unwrap_or_default(),
                    protocol: protocol__.unwrap_or_default(),
                    credential: credential__.unwrap_or_default(),
                    files: files__,
                    subject_alt_names: subject_alt_names__.unwrap_or_default(),
                    spki_hashes: spki_hashes__.unwrap_or_default(),
                    certificate_hashes: certificate_hashes__.unwrap_or_default(),
                    min_version: min_version__.unwrap_or_default(),
                    max_version: max_version__.unwrap_or_default(),
                    cipher_suites: cipher_suites__.unwrap_or_default(),
                    hosts: hosts__.unwrap_or_default(),
                    tcp: tcp__.unwrap_or_default(),
                    origin: origin__,
                    unusable: unusable__.unwrap_or_default(),
                    more_credentials: more_credentials__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TlsServer", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TlsServerMode {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "TLS_SERVER_MODE_UNSPECIFIED",
            Self::Simple => "TLS_SERVER_MODE_SIMPLE",
            Self::Mutual => "TLS_SERVER_MODE_MUTUAL",
            Self::OptionalMutual => "TLS_SERVER_MODE_OPTIONAL_MUTUAL",
            Self::IstioMutual => "TLS_SERVER_MODE_ISTIO_MUTUAL",
            Self::Passthrough => "TLS_SERVER_MODE_PASSTHROUGH",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for TlsServerMode {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "TLS_SERVER_MODE_UNSPECIFIED",
            "TLS_SERVER_MODE_SIMPLE",
            "TLS_SERVER_MODE_MUTUAL",
            "TLS_SERVER_MODE_OPTIONAL_MUTUAL",
            "TLS_SERVER_MODE_ISTIO_MUTUAL",
            "TLS_SERVER_MODE_PASSTHROUGH",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = TlsServerMode;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "TLS_SERVER_MODE_UNSPECIFIED" => Ok(TlsServerMode::Unspecified),
                    "TLS_SERVER_MODE_SIMPLE" => Ok(TlsServerMode::Simple),
                    "TLS_SERVER_MODE_MUTUAL" => Ok(TlsServerMode::Mutual),
                    "TLS_SERVER_MODE_OPTIONAL_MUTUAL" => Ok(TlsServerMode::OptionalMutual),
                    "TLS_SERVER_MODE_ISTIO_MUTUAL" => Ok(TlsServerMode::IstioMutual),
                    "TLS_SERVER_MODE_PASSTHROUGH" => Ok(TlsServerMode::Passthrough),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for TlsVersion {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "TLS_VERSION_UNSPECIFIED",
            Self::TlsVersion12 => "TLS_VERSION_1_2",
            Self::TlsVersion13 => "TLS_VERSION_1_3",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for TlsVersion {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "TLS_VERSION_UNSPECIFIED",
            "TLS_VERSION_1_2",
            "TLS_VERSION_1_3",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = TlsVersion;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "TLS_VERSION_UNSPECIFIED" => Ok(TlsVersion::Unspecified),
                    "TLS_VERSION_1_2" => Ok(TlsVersion::TlsVersion12),
                    "TLS_VERSION_1_3" => Ok(TlsVersion::TlsVersion13),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for TraceCollector {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.host.is_empty() {
            len += 1;
        }
        if self.port != 0 {
            len += 1;
        }
        if !self.path.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.TraceCollector", len)?;
        if !self.host.is_empty() {
            struct_ser.serialize_field("host", &self.host)?;
        }
        if self.port != 0 {
            struct_ser.serialize_field("port", &self.port)?;
        }
        if !self.path.is_empty() {
            struct_ser.serialize_field("path", &self.path)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TraceCollector {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "host",
            "port",
            "path",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Host,
            Port,
            Path,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "host" => Ok(GeneratedField::Host),
                            "port" => Ok(GeneratedField::Port),
                            "path" => Ok(GeneratedField::Path),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TraceCollector;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TraceCollector")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TraceCollector, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut host__ = None;
                let mut port__ = None;
                let mut path__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Host => {
                            if host__.is_some() {
                                return Err(serde::de::Error::duplicate_field("host"));
                            }
                            host__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Port => {
                            if port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("port"));
                            }
                            port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Path => {
                            if path__.is_some() {
                                return Err(serde::de::Error::duplicate_field("path"));
                            }
                            path__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(TraceCollector {
                    host: host__.unwrap_or_default(),
                    port: port__.unwrap_or_default(),
                    path: path__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TraceCollector", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TracingRule {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.disabled {
            len += 1;
        }
        if self.sampling.is_some() {
            len += 1;
        }
        if !self.tags.is_empty() {
            len += 1;
        }
        if self.without_istio_tags {
            len += 1;
        }
        if self.without_propagation {
            len += 1;
        }
        if self.collector.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.TracingRule", len)?;
        if self.disabled {
            struct_ser.serialize_field("disabled", &self.disabled)?;
        }
        if let Some(v) = self.sampling.as_ref() {
            struct_ser.serialize_field("sampling", v)?;
        }
        if !self.tags.is_empty() {
            struct_ser.serialize_field("tags", &self.tags)?;
        }
        if self.without_istio_tags {
            struct_ser.serialize_field("without_istio_tags", &self.without_istio_tags)?;
        }
        if self.without_propagation {
            struct_ser.serialize_field("without_propagation", &self.without_propagation)?;
        }
        if let Some(v) = self.collector.as_ref() {
            struct_ser.serialize_field("collector", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TracingRule {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "disabled",
            "sampling",
            "tags",
            "without_istio_tags",
            "withoutIstioTags",
            "without_propagation",
            "withoutPropagation",
            "collector",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Disabled,
            Sampling,
            Tags,
            WithoutIstioTags,
            WithoutPropagation,
            Collector,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "disabled" => Ok(GeneratedField::Disabled),
                            "sampling" => Ok(GeneratedField::Sampling),
                            "tags" => Ok(GeneratedField::Tags),
                            "withoutIstioTags" | "without_istio_tags" => Ok(GeneratedField::WithoutIstioTags),
                            "withoutPropagation" | "without_propagation" => Ok(GeneratedField::WithoutPropagation),
                            "collector" => Ok(GeneratedField::Collector),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TracingRule;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TracingRule")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TracingRule, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut disabled__ = None;
                let mut sampling__ = None;
                let mut tags__ = None;
                let mut without_istio_tags__ = None;
                let mut without_propagation__ = None;
                let mut collector__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Disabled => {
                            if disabled__.is_some() {
                                return Err(serde::de::Error::duplicate_field("disabled"));
                            }
                            disabled__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Sampling => {
                            if sampling__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sampling"));
                            }
                            sampling__ = 
                                map_.next_value::<::std::option::Option<::pbjson::private::NumberDeserialize<_>>>()?.map(|x| x.0)
                            ;
                        }
                        GeneratedField::Tags => {
                            if tags__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tags"));
                            }
                            tags__ = Some(map_.next_value()?);
                        }
                        GeneratedField::WithoutIstioTags => {
                            if without_istio_tags__.is_some() {
                                return Err(serde::de::Error::duplicate_field("withoutIstioTags"));
                            }
                            without_istio_tags__ = Some(map_.next_value()?);
                        }
                        GeneratedField::WithoutPropagation => {
                            if without_propagation__.is_some() {
                                return Err(serde::de::Error::duplicate_field("withoutPropagation"));
                            }
                            without_propagation__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Collector => {
                            if collector__.is_some() {
                                return Err(serde::de::Error::duplicate_field("collector"));
                            }
                            collector__ = map_.next_value()?;
                        }
                    }
                }
                Ok(TracingRule {
                    disabled: disabled__.unwrap_or_default(),
                    sampling: sampling__,
                    tags: tags__.unwrap_or_default(),
                    without_istio_tags: without_istio_tags__.unwrap_or_default(),
                    without_propagation: without_propagation__.unwrap_or_default(),
                    collector: collector__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TracingRule", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TrafficPolicy {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.load_balancer != 0 {
            len += 1;
        }
        if self.connect_timeout_ms != 0 {
            len += 1;
        }
        if self.tls.is_some() {
            len += 1;
        }
        if self.origin.is_some() {
            len += 1;
        }
        if self.connection_pool.is_some() {
            len += 1;
        }
        if self.outlier_detection.is_some() {
            len += 1;
        }
        if self.consistent_hash.is_some() {
            len += 1;
        }
        if self.warmup.is_some() {
            len += 1;
        }
        if self.locality.is_some() {
            len += 1;
        }
        if self.retry_budget.is_some() {
            len += 1;
        }
        if self.proxy_protocol != 0 {
            len += 1;
        }
        if self.tunnel.is_some() {
            len += 1;
        }
        if self.health_check.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.TrafficPolicy", len)?;
        if self.load_balancer != 0 {
            let v = LoadBalancer::try_from(self.load_balancer)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.load_balancer)))?;
            struct_ser.serialize_field("load_balancer", &v)?;
        }
        if self.connect_timeout_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("connect_timeout_ms", ToString::to_string(&self.connect_timeout_ms).as_str())?;
        }
        if let Some(v) = self.tls.as_ref() {
            struct_ser.serialize_field("tls", v)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        if let Some(v) = self.connection_pool.as_ref() {
            struct_ser.serialize_field("connection_pool", v)?;
        }
        if let Some(v) = self.outlier_detection.as_ref() {
            struct_ser.serialize_field("outlier_detection", v)?;
        }
        if let Some(v) = self.consistent_hash.as_ref() {
            struct_ser.serialize_field("consistent_hash", v)?;
        }
        if let Some(v) = self.warmup.as_ref() {
            struct_ser.serialize_field("warmup", v)?;
        }
        if let Some(v) = self.locality.as_ref() {
            struct_ser.serialize_field("locality", v)?;
        }
        if let Some(v) = self.retry_budget.as_ref() {
            struct_ser.serialize_field("retry_budget", v)?;
        }
        if self.proxy_protocol != 0 {
            let v = ProxyProtocol::try_from(self.proxy_protocol)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.proxy_protocol)))?;
            struct_ser.serialize_field("proxy_protocol", &v)?;
        }
        if let Some(v) = self.tunnel.as_ref() {
            struct_ser.serialize_field("tunnel", v)?;
        }
        if let Some(v) = self.health_check.as_ref() {
            struct_ser.serialize_field("health_check", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TrafficPolicy {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "load_balancer",
            "loadBalancer",
            "connect_timeout_ms",
            "connectTimeoutMs",
            "tls",
            "origin",
            "connection_pool",
            "connectionPool",
            "outlier_detection",
            "outlierDetection",
            "consistent_hash",
            "consistentHash",
            "warmup",
            "locality",
            "retry_budget",
            "retryBudget",
            "proxy_protocol",
            "proxyProtocol",
            "tunnel",
            "health_check",
            "healthCheck",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            LoadBalancer,
            ConnectTimeoutMs,
            Tls,
            Origin,
            ConnectionPool,
            OutlierDetection,
            ConsistentHash,
            Warmup,
            Locality,
            RetryBudget,
            ProxyProtocol,
            Tunnel,
            HealthCheck,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "loadBalancer" | "load_balancer" => Ok(GeneratedField::LoadBalancer),
                            "connectTimeoutMs" | "connect_timeout_ms" => Ok(GeneratedField::ConnectTimeoutMs),
                            "tls" => Ok(GeneratedField::Tls),
                            "origin" => Ok(GeneratedField::Origin),
                            "connectionPool" | "connection_pool" => Ok(GeneratedField::ConnectionPool),
                            "outlierDetection" | "outlier_detection" => Ok(GeneratedField::OutlierDetection),
                            "consistentHash" | "consistent_hash" => Ok(GeneratedField::ConsistentHash),
                            "warmup" => Ok(GeneratedField::Warmup),
                            "locality" => Ok(GeneratedField::Locality),
                            "retryBudget" | "retry_budget" => Ok(GeneratedField::RetryBudget),
                            "proxyProtocol" | "proxy_protocol" => Ok(GeneratedField::ProxyProtocol),
                            "tunnel" => Ok(GeneratedField::Tunnel),
                            "healthCheck" | "health_check" => Ok(GeneratedField::HealthCheck),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TrafficPolicy;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TrafficPolicy")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TrafficPolicy, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut load_balancer__ = None;
                let mut connect_timeout_ms__ = None;
                let mut tls__ = None;
                let mut origin__ = None;
                let mut connection_pool__ = None;
                let mut outlier_detection__ = None;
                let mut consistent_hash__ = None;
                let mut warmup__ = None;
                let mut locality__ = None;
                let mut retry_budget__ = None;
                let mut proxy_protocol__ = None;
                let mut tunnel__ = None;
                let mut health_check__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::LoadBalancer => {
                            if load_balancer__.is_some() {
                                return Err(serde::de::Error::duplicate_field("loadBalancer"));
                            }
                            load_balancer__ = Some(map_.next_value::<LoadBalancer>()? as i32);
                        }
                        GeneratedField::ConnectTimeoutMs => {
                            if connect_timeout_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("connectTimeoutMs"));
                            }
                            connect_timeout_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Tls => {
                            if tls__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tls"));
                            }
                            tls__ = map_.next_value()?;
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                        GeneratedField::ConnectionPool => {
                            if connection_pool__.is_some() {
                                return Err(serde::de::Error::duplicate_field("connectionPool"));
                            }
                            connection_pool__ = map_.next_value()?;
                        }
                        GeneratedField::OutlierDetection => {
                            if outlier_detection__.is_some() {
                                return Err(serde::de::Error::duplicate_field("outlierDetection"));
                            }
                            outlier_detection__ = map_.next_value()?;
                        }
                        GeneratedField::ConsistentHash => {
                            if consistent_hash__.is_some() {
                                return Err(serde::de::Error::duplicate_field("consistentHash"));
                            }
                            consistent_hash__ = map_.next_value()?;
                        }
                        GeneratedField::Warmup => {
                            if warmup__.is_some() {
                                return Err(serde::de::Error::duplicate_field("warmup"));
                            }
                            warmup__ = map_.next_value()?;
                        }
                        GeneratedField::Locality => {
                            if locality__.is_some() {
                                return Err(serde::de::Error::duplicate_field("locality"));
                            }
                            locality__ = map_.next_value()?;
                        }
                        GeneratedField::RetryBudget => {
                            if retry_budget__.is_some() {
                                return Err(serde::de::Error::duplicate_field("retryBudget"));
                            }
                            retry_budget__ = map_.next_value()?;
                        }
                        GeneratedField::ProxyProtocol => {
                            if proxy_protocol__.is_some() {
                                return Err(serde::de::Error::duplicate_field("proxyProtocol"));
                            }
                            proxy_protocol__ = Some(map_.next_value::<ProxyProtocol>()? as i32);
                        }
                        GeneratedField::Tunnel => {
                            if tunnel__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tunnel"));
                            }
                            tunnel__ = map_.next_value()?;
                        }
                        GeneratedField::HealthCheck => {
                            if health_check__.is_some() {
                                return Err(serde::de::Error::duplicate_field("healthCheck"));
                            }
                            health_check__ = map_.next_value()?;
                        }
                    }
                }
                Ok(TrafficPolicy {
                    load_balancer: load_balancer__.unwrap_or_default(),
                    connect_timeout_ms: connect_timeout_ms__.unwrap_or_default(),
                    tls: tls__,
                    origin: origin__,
                    connection_pool: connection_pool__,
                    outlier_detection: outlier_detection__,
                    consistent_hash: consistent_hash__,
                    warmup: warmup__,
                    locality: locality__,
                    retry_budget: retry_budget__,
                    proxy_protocol: proxy_protocol__.unwrap_or_default(),
                    tunnel: tunnel__,
                    health_check: health_check__,
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TrafficPolicy", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TrustBundle {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.trust_domain.is_empty() {
            len += 1;
        }
        if !self.roots_der.is_empty() {
            len += 1;
        }
        if !self.jwks.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.TrustBundle", len)?;
        if !self.trust_domain.is_empty() {
            struct_ser.serialize_field("trust_domain", &self.trust_domain)?;
        }
        if !self.roots_der.is_empty() {
            struct_ser.serialize_field("roots_der", &self.roots_der.iter().map(pbjson::private::base64::encode).collect::<Vec<_>>())?;
        }
        if !self.jwks.is_empty() {
            struct_ser.serialize_field("jwks", &self.jwks)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TrustBundle {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "trust_domain",
            "trustDomain",
            "roots_der",
            "rootsDer",
            "jwks",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            TrustDomain,
            RootsDer,
            Jwks,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "trustDomain" | "trust_domain" => Ok(GeneratedField::TrustDomain),
                            "rootsDer" | "roots_der" => Ok(GeneratedField::RootsDer),
                            "jwks" => Ok(GeneratedField::Jwks),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TrustBundle;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TrustBundle")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TrustBundle, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut trust_domain__ = None;
                let mut roots_der__ = None;
                let mut jwks__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::TrustDomain => {
                            if trust_domain__.is_some() {
                                return Err(serde::de::Error::duplicate_field("trustDomain"));
                            }
                            trust_domain__ = Some(map_.next_value()?);
                        }
                        GeneratedField::RootsDer => {
                            if roots_der__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rootsDer"));
                            }
                            roots_der__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::BytesDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::Jwks => {
                            if jwks__.is_some() {
                                return Err(serde::de::Error::duplicate_field("jwks"));
                            }
                            jwks__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(TrustBundle {
                    trust_domain: trust_domain__.unwrap_or_default(),
                    roots_der: roots_der__.unwrap_or_default(),
                    jwks: jwks__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TrustBundle", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TrustBundleRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("mesh.v1.TrustBundleRequest", len)?;
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TrustBundleRequest {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                            Err(serde::de::Error::unknown_field(value, FIELDS))
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TrustBundleRequest;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TrustBundleRequest")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TrustBundleRequest, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                while map_.next_key::<GeneratedField>()?.is_some() {
                    let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                }
                Ok(TrustBundleRequest {
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TrustBundleRequest", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for TrustBundleResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.roots_der.is_empty() {
            len += 1;
        }
        if !self.trust_domain.is_empty() {
            len += 1;
        }
        if !self.jwks.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.TrustBundleResponse", len)?;
        if !self.roots_der.is_empty() {
            struct_ser.serialize_field("roots_der", &self.roots_der.iter().map(pbjson::private::base64::encode).collect::<Vec<_>>())?;
        }
        if !self.trust_domain.is_empty() {
            struct_ser.serialize_field("trust_domain", &self.trust_domain)?;
        }
        if !self.jwks.is_empty() {
            struct_ser.serialize_field("jwks", &self.jwks)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for TrustBundleResponse {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "roots_der",
            "rootsDer",
            "trust_domain",
            "trustDomain",
            "jwks",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            RootsDer,
            TrustDomain,
            Jwks,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "rootsDer" | "roots_der" => Ok(GeneratedField::RootsDer),
                            "trustDomain" | "trust_domain" => Ok(GeneratedField::TrustDomain),
                            "jwks" => Ok(GeneratedField::Jwks),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = TrustBundleResponse;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.TrustBundleResponse")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<TrustBundleResponse, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut roots_der__ = None;
                let mut trust_domain__ = None;
                let mut jwks__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::RootsDer => {
                            if roots_der__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rootsDer"));
                            }
                            roots_der__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::BytesDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::TrustDomain => {
                            if trust_domain__.is_some() {
                                return Err(serde::de::Error::duplicate_field("trustDomain"));
                            }
                            trust_domain__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Jwks => {
                            if jwks__.is_some() {
                                return Err(serde::de::Error::duplicate_field("jwks"));
                            }
                            jwks__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(TrustBundleResponse {
                    roots_der: roots_der__.unwrap_or_default(),
                    trust_domain: trust_domain__.unwrap_or_default(),
                    jwks: jwks__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.TrustBundleResponse", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Tunnel {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.host.is_empty() {
            len += 1;
        }
        if self.port != 0 {
            len += 1;
        }
        if self.post {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Tunnel", len)?;
        if !self.host.is_empty() {
            struct_ser.serialize_field("host", &self.host)?;
        }
        if self.port != 0 {
            struct_ser.serialize_field("port", &self.port)?;
        }
        if self.post {
            struct_ser.serialize_field("post", &self.post)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Tunnel {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "host",
            "port",
            "post",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Host,
            Port,
            Post,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "host" => Ok(GeneratedField::Host),
                            "port" => Ok(GeneratedField::Port),
                            "post" => Ok(GeneratedField::Post),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Tunnel;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Tunnel")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Tunnel, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut host__ = None;
                let mut port__ = None;
                let mut post__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Host => {
                            if host__.is_some() {
                                return Err(serde::de::Error::duplicate_field("host"));
                            }
                            host__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Port => {
                            if port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("port"));
                            }
                            port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Post => {
                            if post__.is_some() {
                                return Err(serde::de::Error::duplicate_field("post"));
                            }
                            post__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Tunnel {
                    host: host__.unwrap_or_default(),
                    port: port__.unwrap_or_default(),
                    post: post__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Tunnel", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Warmup {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.duration_ms != 0 {
            len += 1;
        }
        if self.minimum_percent != 0. {
            len += 1;
        }
        if self.aggression != 0. {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Warmup", len)?;
        if self.duration_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("duration_ms", ToString::to_string(&self.duration_ms).as_str())?;
        }
        if self.minimum_percent != 0. {
            struct_ser.serialize_field("minimum_percent", &self.minimum_percent)?;
        }
        if self.aggression != 0. {
            struct_ser.serialize_field("aggression", &self.aggression)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Warmup {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "duration_ms",
            "durationMs",
            "minimum_percent",
            "minimumPercent",
            "aggression",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            DurationMs,
            MinimumPercent,
            Aggression,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "durationMs" | "duration_ms" => Ok(GeneratedField::DurationMs),
                            "minimumPercent" | "minimum_percent" => Ok(GeneratedField::MinimumPercent),
                            "aggression" => Ok(GeneratedField::Aggression),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Warmup;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Warmup")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Warmup, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut duration_ms__ = None;
                let mut minimum_percent__ = None;
                let mut aggression__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::DurationMs => {
                            if duration_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("durationMs"));
                            }
                            duration_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MinimumPercent => {
                            if minimum_percent__.is_some() {
                                return Err(serde::de::Error::duplicate_field("minimumPercent"));
                            }
                            minimum_percent__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Aggression => {
                            if aggression__.is_some() {
                                return Err(serde::de::Error::duplicate_field("aggression"));
                            }
                            aggression__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Warmup {
                    duration_ms: duration_ms__.unwrap_or_default(),
                    minimum_percent: minimum_percent__.unwrap_or_default(),
                    aggression: aggression__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Warmup", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Workload {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.uid.is_empty() {
            len += 1;
        }
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.namespace.is_empty() {
            len += 1;
        }
        if !self.identity.is_empty() {
            len += 1;
        }
        if !self.labels.is_empty() {
            len += 1;
        }
        if !self.address.is_empty() {
            len += 1;
        }
        if !self.locality.is_empty() {
            len += 1;
        }
        if !self.cluster.is_empty() {
            len += 1;
        }
        if self.weight != 0 {
            len += 1;
        }
        if self.health != 0 {
            len += 1;
        }
        if !self.backs.is_empty() {
            len += 1;
        }
        if !self.canonical_name.is_empty() {
            len += 1;
        }
        if !self.canonical_revision.is_empty() {
            len += 1;
        }
        if !self.node.is_empty() {
            len += 1;
        }
        if self.hbone_port != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Workload", len)?;
        if !self.uid.is_empty() {
            struct_ser.serialize_field("uid", &self.uid)?;
        }
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.namespace.is_empty() {
            struct_ser.serialize_field("namespace", &self.namespace)?;
        }
        if !self.identity.is_empty() {
            struct_ser.serialize_field("identity", &self.identity)?;
        }
        if !self.labels.is_empty() {
            struct_ser.serialize_field("labels", &self.labels)?;
        }
        if !self.address.is_empty() {
            struct_ser.serialize_field("address", &self.address)?;
        }
        if !self.locality.is_empty() {
            struct_ser.serialize_field("locality", &self.locality)?;
        }
        if !self.cluster.is_empty() {
            struct_ser.serialize_field("cluster", &self.cluster)?;
        }
        if self.weight != 0 {
            struct_ser.serialize_field("weight", &self.weight)?;
        }
        if self.health != 0 {
            let v = Health::try_from(self.health)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.health)))?;
            struct_ser.serialize_field("health", &v)?;
        }
        if !self.backs.is_empty() {
            struct_ser.serialize_field("backs", &self.backs)?;
        }
        if !self.canonical_name.is_empty() {
            struct_ser.serialize_field("canonical_name", &self.canonical_name)?;
        }
        if !self.canonical_revision.is_empty() {
            struct_ser.serialize_field("canonical_revision", &self.canonical_revision)?;
        }
        if !self.node.is_empty() {
            struct_ser.serialize_field("node", &self.node)?;
        }
        if self.hbone_port != 0 {
            struct_ser.serialize_field("hbone_port", &self.hbone_port)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Workload {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "uid",
            "name",
            "namespace",
            "identity",
            "labels",
            "address",
            "locality",
            "cluster",
            "weight",
            "health",
            "backs",
            "canonical_name",
            "canonicalName",
            "canonical_revision",
            "canonicalRevision",
            "node",
            "hbone_port",
            "hbonePort",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Uid,
            Name,
            Namespace,
            Identity,
            Labels,
            Address,
            Locality,
            Cluster,
            Weight,
            Health,
            Backs,
            CanonicalName,
            CanonicalRevision,
            Node,
            HbonePort,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "uid" => Ok(GeneratedField::Uid),
                            "name" => Ok(GeneratedField::Name),
                            "namespace" => Ok(GeneratedField::Namespace),
                            "identity" => Ok(GeneratedField::Identity),
                            "labels" => Ok(GeneratedField::Labels),
                            "address" => Ok(GeneratedField::Address),
                            "locality" => Ok(GeneratedField::Locality),
                            "cluster" => Ok(GeneratedField::Cluster),
                            "weight" => Ok(GeneratedField::Weight),
                            "health" => Ok(GeneratedField::Health),
                            "backs" => Ok(GeneratedField::Backs),
                            "canonicalName" | "canonical_name" => Ok(GeneratedField::CanonicalName),
                            "canonicalRevision" | "canonical_revision" => Ok(GeneratedField::CanonicalRevision),
                            "node" => Ok(GeneratedField::Node),
                            "hbonePort" | "hbone_port" => Ok(GeneratedField::HbonePort),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Workload;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Workload")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Workload, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut uid__ = None;
                let mut name__ = None;
                let mut namespace__ = None;
                let mut identity__ = None;
                let mut labels__ = None;
                let mut address__ = None;
                let mut locality__ = None;
                let mut cluster__ = None;
                let mut weight__ = None;
                let mut health__ = None;
                let mut backs__ = None;
                let mut canonical_name__ = None;
                let mut canonical_revision__ = None;
                let mut node__ = None;
                let mut hbone_port__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Uid => {
                            if uid__.is_some() {
                                return Err(serde::de::Error::duplicate_field("uid"));
                            }
                            uid__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Namespace => {
                            if namespace__.is_some() {
                                return Err(serde::de::Error::duplicate_field("namespace"));
                            }
                            namespace__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Identity => {
                            if identity__.is_some() {
                                return Err(serde::de::Error::duplicate_field("identity"));
                            }
                            identity__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Labels => {
                            if labels__.is_some() {
                                return Err(serde::de::Error::duplicate_field("labels"));
                            }
                            labels__ = Some(
                                map_.next_value::<std::collections::BTreeMap<_, _>>()?
                            );
                        }
                        GeneratedField::Address => {
                            if address__.is_some() {
                                return Err(serde::de::Error::duplicate_field("address"));
                            }
                            address__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Locality => {
                            if locality__.is_some() {
                                return Err(serde::de::Error::duplicate_field("locality"));
                            }
                            locality__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Cluster => {
                            if cluster__.is_some() {
                                return Err(serde::de::Error::duplicate_field("cluster"));
                            }
                            cluster__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Weight => {
                            if weight__.is_some() {
                                return Err(serde::de::Error::duplicate_field("weight"));
                            }
                            weight__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Health => {
                            if health__.is_some() {
                                return Err(serde::de::Error::duplicate_field("health"));
                            }
                            health__ = Some(map_.next_value::<Health>()? as i32);
                        }
                        GeneratedField::Backs => {
                            if backs__.is_some() {
                                return Err(serde::de::Error::duplicate_field("backs"));
                            }
                            backs__ = Some(map_.next_value()?);
                        }
                        GeneratedField::CanonicalName => {
                            if canonical_name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("canonicalName"));
                            }
                            canonical_name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::CanonicalRevision => {
                            if canonical_revision__.is_some() {
                                return Err(serde::de::Error::duplicate_field("canonicalRevision"));
                            }
                            canonical_revision__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Node => {
                            if node__.is_some() {
                                return Err(serde::de::Error::duplicate_field("node"));
                            }
                            node__ = Some(map_.next_value()?);
                        }
                        GeneratedField::HbonePort => {
                            if hbone_port__.is_some() {
                                return Err(serde::de::Error::duplicate_field("hbonePort"));
                            }
                            hbone_port__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Workload {
                    uid: uid__.unwrap_or_default(),
                    name: name__.unwrap_or_default(),
                    namespace: namespace__.unwrap_or_default(),
                    identity: identity__.unwrap_or_default(),
                    labels: labels__.unwrap_or_default(),
                    address: address__.unwrap_or_default(),
                    locality: locality__.unwrap_or_default(),
                    cluster: cluster__.unwrap_or_default(),
                    weight: weight__.unwrap_or_default(),
                    health: health__.unwrap_or_default(),
                    backs: backs__.unwrap_or_default(),
                    canonical_name: canonical_name__.unwrap_or_default(),
                    canonical_revision: canonical_revision__.unwrap_or_default(),
                    node: node__.unwrap_or_default(),
                    hbone_port: hbone_port__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Workload", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ZoneAware {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.min_cluster_size != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.ZoneAware", len)?;
        if self.min_cluster_size != 0 {
            struct_ser.serialize_field("min_cluster_size", &self.min_cluster_size)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ZoneAware {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "min_cluster_size",
            "minClusterSize",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            MinClusterSize,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "minClusterSize" | "min_cluster_size" => Ok(GeneratedField::MinClusterSize),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ZoneAware;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.ZoneAware")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ZoneAware, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut min_cluster_size__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::MinClusterSize => {
                            if min_cluster_size__.is_some() {
                                return Err(serde::de::Error::duplicate_field("minClusterSize"));
                            }
                            min_cluster_size__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(ZoneAware {
                    min_cluster_size: min_cluster_size__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.ZoneAware", FIELDS, GeneratedVisitor)
    }
}
