impl serde::Serialize for ControlPlaneStatus {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.ControlPlaneStatus", len)?;
        if true {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if true {
            struct_ser.serialize_field("digest", &self.digest)?;
        }
        if true {
            struct_ser.serialize_field("connected", &self.connected)?;
        }
        if true {
            struct_ser.serialize_field("current", &self.current)?;
        }
        if true {
            struct_ser.serialize_field("errors", &self.errors)?;
        }
        if true {
            struct_ser.serialize_field("warnings", &self.warnings)?;
        }
        if true {
            struct_ser.serialize_field("trust_domain", &self.trust_domain)?;
        }
        if true {
            struct_ser.serialize_field("build_version", &self.build_version)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ControlPlaneStatus {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "revision",
            "digest",
            "connected",
            "current",
            "errors",
            "warnings",
            "trust_domain",
            "trustDomain",
            "build_version",
            "buildVersion",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Revision,
            Digest,
            Connected,
            Current,
            Errors,
            Warnings,
            TrustDomain,
            BuildVersion,
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
                            "revision" => Ok(GeneratedField::Revision),
                            "digest" => Ok(GeneratedField::Digest),
                            "connected" => Ok(GeneratedField::Connected),
                            "current" => Ok(GeneratedField::Current),
                            "errors" => Ok(GeneratedField::Errors),
                            "warnings" => Ok(GeneratedField::Warnings),
                            "trustDomain" | "trust_domain" => Ok(GeneratedField::TrustDomain),
                            "buildVersion" | "build_version" => Ok(GeneratedField::BuildVersion),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ControlPlaneStatus;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.ControlPlaneStatus")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ControlPlaneStatus, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut revision__ = None;
                let mut digest__ = None;
                let mut connected__ = None;
                let mut current__ = None;
                let mut errors__ = None;
                let mut warnings__ = None;
                let mut trust_domain__ = None;
                let mut build_version__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
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
                        GeneratedField::Connected => {
                            if connected__.is_some() {
                                return Err(serde::de::Error::duplicate_field("connected"));
                            }
                            connected__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Current => {
                            if current__.is_some() {
                                return Err(serde::de::Error::duplicate_field("current"));
                            }
                            current__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Errors => {
                            if errors__.is_some() {
                                return Err(serde::de::Error::duplicate_field("errors"));
                            }
                            errors__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Warnings => {
                            if warnings__.is_some() {
                                return Err(serde::de::Error::duplicate_field("warnings"));
                            }
                            warnings__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::TrustDomain => {
                            if trust_domain__.is_some() {
                                return Err(serde::de::Error::duplicate_field("trustDomain"));
                            }
                            trust_domain__ = Some(map_.next_value()?);
                        }
                        GeneratedField::BuildVersion => {
                            if build_version__.is_some() {
                                return Err(serde::de::Error::duplicate_field("buildVersion"));
                            }
                            build_version__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(ControlPlaneStatus {
                    revision: revision__.unwrap_or_default(),
                    digest: digest__.unwrap_or_default(),
                    connected: connected__.unwrap_or_default(),
                    current: current__.unwrap_or_default(),
                    errors: errors__.unwrap_or_default(),
                    warnings: warnings__.unwrap_or_default(),
                    trust_domain: trust_domain__.unwrap_or_default(),
                    build_version: build_version__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.ControlPlaneStatus", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Problem {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.Problem", len)?;
        if true {
            let v = Severity::try_from(self.severity)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.severity)))?;
            struct_ser.serialize_field("severity", &v)?;
        }
        if let Some(v) = self.origin.as_ref() {
            struct_ser.serialize_field("origin", v)?;
        }
        if true {
            struct_ser.serialize_field("message", &self.message)?;
        }
        if true {
            struct_ser.serialize_field("code", &self.code)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Problem {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "severity",
            "origin",
            "message",
            "code",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Severity,
            Origin,
            Message,
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
                            "severity" => Ok(GeneratedField::Severity),
                            "origin" => Ok(GeneratedField::Origin),
                            "message" => Ok(GeneratedField::Message),
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
            type Value = Problem;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.Problem")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Problem, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut severity__ = None;
                let mut origin__ = None;
                let mut message__ = None;
                let mut code__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Severity => {
                            if severity__.is_some() {
                                return Err(serde::de::Error::duplicate_field("severity"));
                            }
                            severity__ = Some(map_.next_value::<Severity>()? as i32);
                        }
                        GeneratedField::Origin => {
                            if origin__.is_some() {
                                return Err(serde::de::Error::duplicate_field("origin"));
                            }
                            origin__ = map_.next_value()?;
                        }
                        GeneratedField::Message => {
                            if message__.is_some() {
                                return Err(serde::de::Error::duplicate_field("message"));
                            }
                            message__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Code => {
                            if code__.is_some() {
                                return Err(serde::de::Error::duplicate_field("code"));
                            }
                            code__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Problem {
                    severity: severity__.unwrap_or_default(),
                    origin: origin__,
                    message: message__.unwrap_or_default(),
                    code: code__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.Problem", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ProblemList {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if true {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.ProblemList", len)?;
        if true {
            struct_ser.serialize_field("problems", &self.problems)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ProblemList {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "problems",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Problems,
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
                            "problems" => Ok(GeneratedField::Problems),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ProblemList;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.ProblemList")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ProblemList, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut problems__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Problems => {
                            if problems__.is_some() {
                                return Err(serde::de::Error::duplicate_field("problems"));
                            }
                            problems__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(ProblemList {
                    problems: problems__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.ProblemList", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ProxyList {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if true {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.ProxyList", len)?;
        if true {
            struct_ser.serialize_field("proxies", &self.proxies)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ProxyList {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "proxies",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Proxies,
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
                            "proxies" => Ok(GeneratedField::Proxies),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ProxyList;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.ProxyList")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ProxyList, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut proxies__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Proxies => {
                            if proxies__.is_some() {
                                return Err(serde::de::Error::duplicate_field("proxies"));
                            }
                            proxies__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(ProxyList {
                    proxies: proxies__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.ProxyList", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ProxySelf {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.ProxySelf", len)?;
        if true {
            struct_ser.serialize_field("workload", &self.workload)?;
        }
        if true {
            let v = ProxyKind::try_from(self.kind)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.kind)))?;
            struct_ser.serialize_field("kind", &v)?;
        }
        if true {
            struct_ser.serialize_field("identity", &self.identity)?;
        }
        if true {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if true {
            struct_ser.serialize_field("digest", &self.digest)?;
        }
        if true {
            struct_ser.serialize_field("connected", &self.connected)?;
        }
        if true {
            struct_ser.serialize_field("ready", &self.ready)?;
        }
        if true {
            struct_ser.serialize_field("draining", &self.draining)?;
        }
        if true {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("certificate_not_after", ToString::to_string(&self.certificate_not_after).as_str())?;
        }
        if true {
            struct_ser.serialize_field("certificate_serial", &self.certificate_serial)?;
        }
        if true {
            struct_ser.serialize_field("rejected", &self.rejected)?;
        }
        if true {
            struct_ser.serialize_field("build_version", &self.build_version)?;
        }
        if true {
            struct_ser.serialize_field("troubles", &self.troubles)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ProxySelf {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "workload",
            "kind",
            "identity",
            "revision",
            "digest",
            "connected",
            "ready",
            "draining",
            "certificate_not_after",
            "certificateNotAfter",
            "certificate_serial",
            "certificateSerial",
            "rejected",
            "build_version",
            "buildVersion",
            "troubles",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Workload,
            Kind,
            Identity,
            Revision,
            Digest,
            Connected,
            Ready,
            Draining,
            CertificateNotAfter,
            CertificateSerial,
            Rejected,
            BuildVersion,
            Troubles,
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
                            "identity" => Ok(GeneratedField::Identity),
                            "revision" => Ok(GeneratedField::Revision),
                            "digest" => Ok(GeneratedField::Digest),
                            "connected" => Ok(GeneratedField::Connected),
                            "ready" => Ok(GeneratedField::Ready),
                            "draining" => Ok(GeneratedField::Draining),
                            "certificateNotAfter" | "certificate_not_after" => Ok(GeneratedField::CertificateNotAfter),
                            "certificateSerial" | "certificate_serial" => Ok(GeneratedField::CertificateSerial),
                            "rejected" => Ok(GeneratedField::Rejected),
                            "buildVersion" | "build_version" => Ok(GeneratedField::BuildVersion),
                            "troubles" => Ok(GeneratedField::Troubles),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ProxySelf;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.ProxySelf")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ProxySelf, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut workload__ = None;
                let mut kind__ = None;
                let mut identity__ = None;
                let mut revision__ = None;
                let mut digest__ = None;
                let mut connected__ = None;
                let mut ready__ = None;
                let mut draining__ = None;
                let mut certificate_not_after__ = None;
                let mut certificate_serial__ = None;
                let mut rejected__ = None;
                let mut build_version__ = None;
                let mut troubles__ = None;
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
                        GeneratedField::Identity => {
                            if identity__.is_some() {
                                return Err(serde::de::Error::duplicate_field("identity"));
                            }
                            identity__ = Some(map_.next_value()?);
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
                        GeneratedField::Connected => {
                            if connected__.is_some() {
                                return Err(serde::de::Error::duplicate_field("connected"));
                            }
                            connected__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Ready => {
                            if ready__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ready"));
                            }
                            ready__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Draining => {
                            if draining__.is_some() {
                                return Err(serde::de::Error::duplicate_field("draining"));
                            }
                            draining__ = Some(map_.next_value()?);
                        }
                        GeneratedField::CertificateNotAfter => {
                            if certificate_not_after__.is_some() {
                                return Err(serde::de::Error::duplicate_field("certificateNotAfter"));
                            }
                            certificate_not_after__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::CertificateSerial => {
                            if certificate_serial__.is_some() {
                                return Err(serde::de::Error::duplicate_field("certificateSerial"));
                            }
                            certificate_serial__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Rejected => {
                            if rejected__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rejected"));
                            }
                            rejected__ = Some(map_.next_value()?);
                        }
                        GeneratedField::BuildVersion => {
                            if build_version__.is_some() {
                                return Err(serde::de::Error::duplicate_field("buildVersion"));
                            }
                            build_version__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Troubles => {
                            if troubles__.is_some() {
                                return Err(serde::de::Error::duplicate_field("troubles"));
                            }
                            troubles__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(ProxySelf {
                    workload: workload__.unwrap_or_default(),
                    kind: kind__.unwrap_or_default(),
                    identity: identity__.unwrap_or_default(),
                    revision: revision__.unwrap_or_default(),
                    digest: digest__.unwrap_or_default(),
                    connected: connected__.unwrap_or_default(),
                    ready: ready__.unwrap_or_default(),
                    draining: draining__.unwrap_or_default(),
                    certificate_not_after: certificate_not_after__.unwrap_or_default(),
                    certificate_serial: certificate_serial__.unwrap_or_default(),
                    rejected: rejected__.unwrap_or_default(),
                    build_version: build_version__.unwrap_or_default(),
                    troubles: troubles__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.ProxySelf", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ProxyStatus {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        if true {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("mesh.v1.ProxyStatus", len)?;
        if true {
            struct_ser.serialize_field("workload", &self.workload)?;
        }
        if true {
            let v = ProxyKind::try_from(self.kind)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.kind)))?;
            struct_ser.serialize_field("kind", &v)?;
        }
        if true {
            struct_ser.serialize_field("identity", &self.identity)?;
        }
        if true {
            struct_ser.serialize_field("connected", &self.connected)?;
        }
        if true {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("sent_revision", ToString::to_string(&self.sent_revision).as_str())?;
        }
        if true {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("acked_revision", ToString::to_string(&self.acked_revision).as_str())?;
        }
        if true {
            struct_ser.serialize_field("subscriptions", &self.subscriptions)?;
        }
        if true {
            struct_ser.serialize_field("resources", &self.resources)?;
        }
        if true {
            struct_ser.serialize_field("rejected", &self.rejected)?;
        }
        if true {
            struct_ser.serialize_field("admin_address", &self.admin_address)?;
        }
        if true {
            struct_ser.serialize_field("build_version", &self.build_version)?;
        }
        if true {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("certificate_not_after", ToString::to_string(&self.certificate_not_after).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ProxyStatus {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "workload",
            "kind",
            "identity",
            "connected",
            "sent_revision",
            "sentRevision",
            "acked_revision",
            "ackedRevision",
            "subscriptions",
            "resources",
            "rejected",
            "admin_address",
            "adminAddress",
            "build_version",
            "buildVersion",
            "certificate_not_after",
            "certificateNotAfter",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Workload,
            Kind,
            Identity,
            Connected,
            SentRevision,
            AckedRevision,
            Subscriptions,
            Resources,
            Rejected,
            AdminAddress,
            BuildVersion,
            CertificateNotAfter,
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
                            "identity" => Ok(GeneratedField::Identity),
                            "connected" => Ok(GeneratedField::Connected),
                            "sentRevision" | "sent_revision" => Ok(GeneratedField::SentRevision),
                            "ackedRevision" | "acked_revision" => Ok(GeneratedField::AckedRevision),
                            "subscriptions" => Ok(GeneratedField::Subscriptions),
                            "resources" => Ok(GeneratedField::Resources),
                            "rejected" => Ok(GeneratedField::Rejected),
                            "adminAddress" | "admin_address" => Ok(GeneratedField::AdminAddress),
                            "buildVersion" | "build_version" => Ok(GeneratedField::BuildVersion),
                            "certificateNotAfter" | "certificate_not_after" => Ok(GeneratedField::CertificateNotAfter),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ProxyStatus;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct mesh.v1.ProxyStatus")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ProxyStatus, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut workload__ = None;
                let mut kind__ = None;
                let mut identity__ = None;
                let mut connected__ = None;
                let mut sent_revision__ = None;
                let mut acked_revision__ = None;
                let mut subscriptions__ = None;
                let mut resources__ = None;
                let mut rejected__ = None;
                let mut admin_address__ = None;
                let mut build_version__ = None;
                let mut certificate_not_after__ = None;
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
                        GeneratedField::Identity => {
                            if identity__.is_some() {
                                return Err(serde::de::Error::duplicate_field("identity"));
                            }
                            identity__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Connected => {
                            if connected__.is_some() {
                                return Err(serde::de::Error::duplicate_field("connected"));
                            }
                            connected__ = Some(map_.next_value()?);
                        }
                        GeneratedField::SentRevision => {
                            if sent_revision__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sentRevision"));
                            }
                            sent_revision__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::AckedRevision => {
                            if acked_revision__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ackedRevision"));
                            }
                            acked_revision__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Subscriptions => {
                            if subscriptions__.is_some() {
                                return Err(serde::de::Error::duplicate_field("subscriptions"));
                            }
                            subscriptions__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Resources => {
                            if resources__.is_some() {
                                return Err(serde::de::Error::duplicate_field("resources"));
                            }
                            resources__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Rejected => {
                            if rejected__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rejected"));
                            }
                            rejected__ = Some(map_.next_value()?);
                        }
                        GeneratedField::AdminAddress => {
                            if admin_address__.is_some() {
                                return Err(serde::de::Error::duplicate_field("adminAddress"));
                            }
                            admin_address__ = Some(map_.next_value()?);
                        }
                        GeneratedField::BuildVersion => {
                            if build_version__.is_some() {
                                return Err(serde::de::Error::duplicate_field("buildVersion"));
                            }
                            build_version__ = Some(map_.next_value()?);
                        }
                        GeneratedField::CertificateNotAfter => {
                            if certificate_not_after__.is_some() {
                                return Err(serde::de::Error::duplicate_field("certificateNotAfter"));
                            }
                            certificate_not_after__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(ProxyStatus {
                    workload: workload__.unwrap_or_default(),
                    kind: kind__.unwrap_or_default(),
                    identity: identity__.unwrap_or_default(),
                    connected: connected__.unwrap_or_default(),
                    sent_revision: sent_revision__.unwrap_or_default(),
                    acked_revision: acked_revision__.unwrap_or_default(),
                    subscriptions: subscriptions__.unwrap_or_default(),
                    resources: resources__.unwrap_or_default(),
                    rejected: rejected__.unwrap_or_default(),
                    admin_address: admin_address__.unwrap_or_default(),
                    build_version: build_version__.unwrap_or_default(),
                    certificate_not_after: certificate_not_after__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("mesh.v1.ProxyStatus", FIELDS, GeneratedVisitor)
    }
}
