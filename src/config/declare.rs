//! How options are declared: [`options!`] makes of one table the struct of what a user says, the struct of what a run uses, and what
//! goes through all of them.

/// Where an option counts. Every option has one mark or more; what it has none for, it does not touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Says which samples are loaded, and from where: part of [`super::Config::of_data`].
    Data,
    /// So of recordings: how they are cut into frames, which are loaded.
    Frames,
    /// So of samples that are drawn: by which numbers.
    Drawn,
    /// Where data lie: a run or study that is resumed may find them elsewhere.
    Place,
    /// Part of a trained network: what its inputs go through, its layers and neurons, and what computes them.
    Network,
    /// How weights are learned: training on arrays in Python follows it.
    Learning,
    /// Of a training run only: a trained network does not keep it.
    Training,
    /// Changes no weight: a resumed run may have another.
    Watch,
    /// Younger than the first runs: files without it mean its default.
    Younger,
}

/// The type of a field of [`super::Config`]: an option without a default stays one.
macro_rules! kept_type {
    ($t:ty) => { Option<$t> };
    ($t:ty, $default:expr) => { $t };
}

/// What a run uses of what was said.
macro_rules! kept {
    ($said:expr) => {
        $said
    };
    ($said:expr, $default:expr) => {
        match $said {
            Some(value) => value,
            None => $default,
        }
    };
}

/// What was said of what a run uses.
macro_rules! said {
    ($kept:expr) => {
        $kept
    };
    ($kept:expr, $default:expr) => {
        Some($kept)
    };
}

/// An entry is: help and clap's attributes; then `name: type = default, in check, [marks];`. Without a default the option stays one
/// in a run's configuration. A default may look at `$user`, what was said, at `$set`, the data set, and at `$recipe`, its defaults. A check takes
/// the option's name and its value (`check.rs`). The marks say where the option counts. `session { … }` is for options of one session, in no file and in no configuration; they stand
/// where the help shows them.
macro_rules! options {
    (|$user:ident, $set:ident, $recipe:ident|
    $(
        $(#[$($attribute:tt)*])*
        $field:ident: $t:ty $(= $default:expr)? $(, in $check:expr)?, [$($mark:ident),+]
        $(, session { $($(#[$($of_session:tt)*])* $session:ident: $session_type:ty;)* })?;
    )*) => {
        /// What a user says, on the command line, in a TOML file or as keywords of Python; everything is optional.
        #[derive(clap::Args, Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        #[command(about = None, long_about = None)] // else the line above would be the help of every command that flattens this
        #[allow(rustdoc::broken_intra_doc_links)] // help has brackets of its own
        pub struct Options {
            $(
                $(#[$($attribute)*])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$t>,
                $($($(#[$($of_session)*])* #[serde(skip)] pub $session: Option<$session_type>,)*)?
            )*
        }

        /// A complete configuration: the fields of [`Options`], but those of a session. `net` is the resolved notation.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)]
        pub struct Config {
            $(pub $field: kept_type!($t $(, $default)?),)*
        }

        impl Options {
            /// Every option that files may hold, in the order of the help, and where it counts.
            pub const ALL: &[(&str, &[Mark])] = &[$((stringify!($field), &[$(Mark::$mark),+]),)*];

            /// What `self` says, and where it is silent what `other` says.
            pub fn or(self, other: Options) -> Options {
                Options { $($field: self.$field.or(other.$field), $($($session: self.$session.or(other.$session),)*)?)* }
            }

            /// Those whose marks pass, without those of a session.
            pub(super) fn filtered(self, passes: impl Fn(&[Mark]) -> bool) -> Options {
                Options {
                    $($field: self.$field.filter(|_| passes(&[$(Mark::$mark),+])), $($($session: None,)*)?)*
                }
            }

            /// Names, sorted, of those in which `self` and `other` differ.
            pub fn differing(&self, other: &Options) -> Vec<String> {
                let all = [$((stringify!($field), self.$field != other.$field),)*];
                let mut names: Vec<String> = all.iter().filter(|(_, differs)| *differs).map(|(field, _)| field.replace('_', "-")).collect();
                names.sort_unstable();
                names
            }

            /// Every value on its own.
            ///
            /// # Errors
            /// Usage: one is out of range, or cannot be written to config.toml.
            pub fn check(&self) -> Result<()> {
                $($(if let Some(value) = &self.$field {
                    $check(&stringify!($field).replace('_', "-"), value)?;
                })?)*
                Ok(())
            }

            /// Folders and files that are said.
            pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
                let all: Vec<&mut dyn std::any::Any> = vec![$(&mut self.$field,)*];
                all.into_iter().filter_map(|option| option.downcast_mut::<Option<PathBuf>>()?.as_mut())
            }

            /// With the defaults of a data set.
            pub(super) fn filled(&self, $set: DatasetName) -> Result<Config> {
                let $user = self;
                let $recipe = $user.recipe.unwrap_or_default().defaults($set)?;
                Ok(Config { $($field: kept!(self.$field.clone() $(, $default)?),)* })
            }
        }

        impl From<&Config> for Options {
            fn from(config: &Config) -> Options {
                Options { $($field: said!(config.$field.clone() $(, $default)?), $($($session: None,)*)?)* }
            }
        }
    };
}

pub(super) use {kept, kept_type, options, said};
