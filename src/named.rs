//! Closed lists of choices and their names.

/// Gives an enum its names: `ALL`, `name()`, and reading a name, which answers one that is none with the list. What serde reads and
/// writes is to be the same; a test in `config` sees to it.
macro_rules! named {
    ($type:ident, $what:literal: $($variant:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// Every one, in the order of documentation.
            pub const ALL: [$type; [$($name),+].len()] = [$($type::$variant),+];

            /// As it is written on the command line and in files.
            pub const fn name(self) -> &'static str {
                match self {
                    $($type::$variant => $name,)+
                }
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::error::Error;

            fn from_str(text: &str) -> $crate::error::Result<Self> {
                let found = Self::ALL.into_iter().find(|choice| choice.name() == text);
                found.ok_or_else(|| $crate::error::Error::usage(format!("no such {}; choose {}", $what, Self::ALL.map(Self::name).join(", "))))
            }
        }
    };
}

pub(crate) use named;
