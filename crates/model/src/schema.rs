//! Schemas: what a kind's arguments and attributes are, said once.
//!
//! Validation, conversion, diff, drift, sensitivity, order, claims, documentation and completion are all derived
//! from these tables; a kind holds no copy of any of it. Schemas are constants, so they have no types that need
//! an allocation; [`AttrType::to_type`] makes the language's type.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::types::{Field, Optional, Type};
use crate::value::Value;

/// What an attribute is to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Names the object; a change is a replacement.
    Identity,
    /// Set by the configuration, read from the world, compared: drift is a difference in one of these.
    Owned,
    /// Set by the configuration and used while acting or connecting; the world has nothing to compare with.
    Setting,
    /// Made by the object when it comes into being; known after apply, kept in the state.
    Computed,
    /// Read from the world before planning; never state, never drift.
    Fact,
}

/// When two values of an attribute mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compare {
    /// The same value.
    Exact,
    /// File modes: `644`, `0644` and `u=rw,go=r` in octal only; leading zeros do not count.
    Mode,
    /// The same elements in any order, however often each is there.
    Unordered,
    /// Every desired element is there; more may be.
    Contains,
    /// Text without regard to the case of letters.
    CaseInsensitive,
    /// Text that is shown and compared as lines (also makes the diff a line diff).
    Lines,
}

/// Whether an argument must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Must be given.
    Required,
    /// May be given; not owned where it is not.
    Optional,
    /// Takes this value where it is not given (JSON text).
    Default(&'static str),
    /// Never given: computed attributes and facts.
    ReadOnly,
}

/// The type of an attribute, as a constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AttrType {
    /// Anything.
    Any,
    /// Text.
    Str,
    /// A number.
    Num,
    /// A truth value.
    Bool,
    /// An octal file mode: text or number as written (`"0644"`).
    Mode,
    /// An absolute path on the endpoint, or relative to the root directory for the controller.
    Path,
    /// In order.
    List(&'static AttrType),
    /// Without order.
    Set(&'static AttrType),
    /// By key.
    Map(&'static AttrType),
    /// Named fields. With `scalar`, a plain value stands for an object with that one field.
    Object {
        /// The fields.
        fields: &'static [Attr],
        /// The field that a bare scalar fills.
        scalar: Option<&'static str>,
    },
    /// A reference to a resource of one of these kinds; empty for any kind.
    Ref(&'static [&'static str]),
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// A namespace of things that instances on one endpoint provide and want; edges arise where both meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Thing {
    /// A file or directory, by path.
    Path,
    /// A user, by name.
    User,
    /// A group, by name.
    Group,
    /// A package, by name.
    Package,
    /// A systemd unit, by name.
    Unit,
    /// The rules of a host's firewall, as a whole.
    Rules,
}

/// What an attribute's value implies for the order of steps on one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implies {
    /// The instance makes this thing.
    Provides(Thing),
    /// The thing must be there first, if somebody makes it.
    Wants(Thing),
    /// Every parent directory of the path must be there first.
    WantsParents,
    /// The instance makes a part of this thing, whatever the value is.
    ProvidesPart(Thing, &'static str),
    /// This thing must be there first, whatever the value is.
    WantsNamed(Thing, &'static str),
    /// The file `PREFIX/VALUE`, and everything below `PREFIX/VALUE.d/`, must be there first.
    WantsFileIn(&'static str),
}

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attr {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: AttrType,
    /// What it is to the engine.
    pub class: Class,
    /// Whether it must be given.
    pub presence: Presence,
    /// When two values mean the same.
    pub compare: Compare,
    /// Whether its value is sensitive whatever it was made from.
    pub sensitive: bool,
    /// Whether a change cannot be made in place, although the attribute does not name the object.
    pub replaces: bool,
    /// The claim each element (or the value itself) stands for: a thing that one instance may hold at a time.
    pub claim: Option<&'static str>,
    /// What it implies for the order of steps.
    pub implies: &'static [Implies],
    /// Whether an old value is worth keeping in `before`, so that destroy can give it back.
    pub restores: bool,
    /// Whether the observed value changes by itself (a fact such as the boot id).
    pub volatile: bool,
    /// The value is a path on the controller, and the content of that file becomes this other attribute.
    pub fills: Option<&'static str>,
    /// The attribute that this one is made from, and is as sensitive as.
    pub derived_from: Option<&'static str>,
    /// Whether the kind must know the value to read the object (what a script asks, which owner is looked for).
    pub asked: bool,
    /// One sentence for the reference.
    pub doc: &'static str,
}

impl Attr {
    /// An optional argument or attribute of this class; computed attributes and facts are read-only.
    pub const fn new(name: &'static str, ty: AttrType, class: Class, doc: &'static str) -> Attr {
        let presence = match class {
            Class::Identity => Presence::Required,
            Class::Owned | Class::Setting => Presence::Optional,
            Class::Computed | Class::Fact => Presence::ReadOnly,
        };
        let compare = match ty {
            AttrType::Mode => Compare::Mode,
            AttrType::Set(_) => Compare::Unordered,
            _ => Compare::Exact,
        };
        Attr {
            name,
            ty,
            class,
            presence,
            compare,
            sensitive: false,
            replaces: false,
            claim: None,
            implies: &[],
            restores: false,
            volatile: false,
            fills: None,
            derived_from: None,
            asked: false,
            doc,
        }
    }
    /// Must be given.
    #[must_use]
    pub const fn required(mut self) -> Attr {
        self.presence = Presence::Required;
        self
    }
    /// May be left out, also where the class asks for it.
    #[must_use]
    pub const fn optional(mut self) -> Attr {
        self.presence = Presence::Optional;
        self
    }
    /// Takes this value (JSON text) where it is not given.
    #[must_use]
    pub const fn default(mut self, json: &'static str) -> Attr {
        self.presence = Presence::Default(json);
        self
    }
    /// Compares in this way.
    #[must_use]
    pub const fn compare(mut self, compare: Compare) -> Attr {
        self.compare = compare;
        self
    }
    /// Is always sensitive.
    #[must_use]
    pub const fn sensitive(mut self) -> Attr {
        self.sensitive = true;
        self
    }
    /// A change replaces the object.
    #[must_use]
    pub const fn replaces(mut self) -> Attr {
        self.replaces = true;
        self
    }
    /// Stands for an exclusive claim.
    #[must_use]
    pub const fn claim(mut self, name: &'static str) -> Attr {
        self.claim = Some(name);
        self
    }
    /// Implies an order.
    #[must_use]
    pub const fn implies(mut self, implies: &'static [Implies]) -> Attr {
        self.implies = implies;
        self
    }
    /// The old value is kept and given back by destroy.
    #[must_use]
    pub const fn restores(mut self) -> Attr {
        self.restores = true;
        self
    }
    /// Changes by itself.
    #[must_use]
    pub const fn volatile(mut self) -> Attr {
        self.volatile = true;
        self
    }
    /// Names a file of the controller whose content becomes the attribute `name`.
    #[must_use]
    pub const fn fills(mut self, name: &'static str) -> Attr {
        self.fills = Some(name);
        self
    }
    /// Is made from the attribute `name`: sensitive where that is.
    #[must_use]
    pub const fn derived_from(mut self, name: &'static str) -> Attr {
        self.derived_from = Some(name);
        self
    }
    /// The object cannot be read without it.
    #[must_use]
    pub const fn asked(mut self) -> Attr {
        self.asked = true;
        self
    }
    /// Whether a configuration may set it.
    pub fn is_argument(&self) -> bool {
        self.presence != Presence::ReadOnly
    }
    /// The default as a value.
    pub fn default_value(&self) -> Option<Value> {
        match self.presence {
            Presence::Default(text) => {
                serde_json::from_str(text).ok().map(|json| crate::json::from_json(&json))
            }
            Presence::Required | Presence::Optional | Presence::ReadOnly => None,
        }
    }
}

/// Where a kind's objects live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placement {
    /// On the host that `host` names; without it, on the machine coxswain runs on.
    HostOrController,
    /// On the host that `host` names.
    Host,
    /// The kind is a host itself.
    IsHost,
    /// Nowhere: no world is behind it; `host` may still be given and then only orders and groups.
    Nowhere,
}

/// The order of kinds on one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Users, packages, files.
    Base,
    /// Units and daemons.
    Service,
    /// Cluster membership.
    Cluster,
    /// What runs on the cluster.
    Workload,
}

/// What happens when the object is there already and not in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Existing {
    /// Take it over, remember what it was, bring it to the desired values.
    Adopt,
    /// Take it over if it equals the desired values, else refuse.
    AdoptIfEqual,
    /// Refuse.
    Refuse,
}

/// A kind's tables.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schema {
    /// The name of the block.
    pub kind: &'static str,
    /// Raised when stored attributes change their meaning.
    pub version: u32,
    /// One line for lists.
    pub summary: &'static str,
    /// A paragraph for the reference: what it owns, what destroy gives back, traps.
    pub doc: &'static str,
    /// A configuration that shows its use; planned by a test.
    pub example: &'static str,
    /// Its attributes, in the order of the reference. `host` is added by the placement, never listed.
    pub attributes: &'static [Attr],
    /// Where its objects live.
    pub placement: Placement,
    /// Its place in the order of one host.
    pub stage: Stage,
    /// What to do with an object that is there already.
    pub existing: Existing,
    /// Whether `restart_on` means something for it.
    pub restarts: bool,
    /// Whether its object may come into being with another one, as a unit does with its file.
    pub comes_with_others: bool,
    /// Whether a place has one such object, which needs no name.
    pub one_per_host: bool,
    /// Steps of kinds with the same group exclude each other on one host (`apt`); none for no group.
    pub mutex: Option<&'static str>,
    /// Whether it is in the user's reference.
    pub documented: bool,
}

impl Schema {
    /// The attribute of this name.
    pub fn attr(&self, name: &str) -> Option<&'static Attr> {
        self.attributes.iter().find(|a| a.name == name)
    }
    /// Whether two places can tell their objects apart; contributions have no name but that of their instance.
    pub fn is_named(&self) -> bool {
        self.one_per_host || self.of_class(Class::Identity).next().is_some()
    }
    /// The attributes of a class.
    pub fn of_class(&self, class: Class) -> impl Iterator<Item = &'static Attr> {
        self.attributes.iter().filter(move |a| a.class == class)
    }
}

impl AttrType {
    /// The language's type. Object fields that are not required are optional, with their defaults.
    pub fn to_type(&self) -> Type {
        match self {
            AttrType::Any => Type::Any,
            AttrType::Str | AttrType::Mode | AttrType::Path | AttrType::OneOf(_) => Type::Str,
            AttrType::Num => Type::Num,
            AttrType::Bool => Type::Bool,
            AttrType::List(t) => Type::list(t.to_type()),
            AttrType::Set(t) => Type::set(t.to_type()),
            AttrType::Map(t) => Type::map(t.to_type()),
            AttrType::Object { fields, .. } => {
                let fields: BTreeMap<Arc<str>, Field> =
                    fields.iter().map(|a| (Arc::from(a.name), a.to_field())).collect();
                Type::Object(Arc::new(fields))
            }
            AttrType::Ref(kinds) => Type::Ref(kinds.iter().map(|k| Arc::from(*k)).collect()),
        }
    }
}

impl Attr {
    fn to_field(self) -> Field {
        let optional = match self.presence {
            Presence::Required => None,
            Presence::Optional | Presence::ReadOnly | Presence::Default(_) => {
                Some(Optional { default: self.default_value() })
            }
        };
        Field { ty: self.ty.to_type(), optional }
    }
}
