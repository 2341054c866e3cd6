//! Settings that are one of a few words.

/// An enum of words, each read from its own text and documented in the schema. A word that is none of them is
/// answered with the nearest, or with all.
macro_rules! words {
    (
        $(#[$meta:meta])*
        $name:ident as $schema:literal, $what:literal {
            $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema)]
        #[schemars(rename = $schema)]
        pub(super) enum $name {
            $($(#[$doc])* #[schemars(rename = $word)] $variant),+
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                match text.as_str() {
                    $($word => Ok(Self::$variant),)+
                    other => Err(serde::de::Error::custom(format_args!(
                        concat!("unknown ", $what, " `{}`{}"),
                        super::tree::shorten(other),
                        super::de::suggestion(other, [$($word),+].into_iter())
                    ))),
                }
            }
        }
    };
}

pub(super) use words;
