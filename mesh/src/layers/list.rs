//! Layers as a list that the compiler can read: which layer provides what, and in which order.

use std::marker::PhantomData;

use tonic::Request;
use tower::Layer;

use crate::call::Call;

/// A layer with a name, and with the type of the value that it supplies to the [`Call`]; `()` for none.
pub trait Provide {
    /// What a handler reads because of it.
    type Value: 'static;

    /// For people, and for `GetGraph`.
    fn name(&self) -> &'static str;
}

/// A `tower::ServiceBuilder` whose layers have names and say what they provide.
///
/// The first layer is the outermost, as with `ServiceBuilder`, and it is a `tower::Layer` itself.
#[derive(Debug, Clone)]
pub struct Layers<L>(L);

/// No layer.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

/// A layer inside of others.
#[derive(Debug, Clone)]
pub struct Inside<N, L> {
    layer: N,
    outside: L,
}

/// A name and what is provided under it.
pub trait Described {
    /// The layers, outermost first, each with the type that it provides.
    fn describe(&self, into: &mut Vec<(&'static str, &'static str)>);
}

/// Where in a list: its innermost layer.
#[derive(Debug)]
pub struct Here;

/// Where in a list: at this place among the layers outside of the innermost.
#[derive(Debug)]
pub struct There<I>(PhantomData<I>);

/// A list in which exactly one layer provides `V`. The place `I` is for the compiler to find.
#[diagnostic::on_unimplemented(
    message = "no layer of these services provides `{V}`",
    note = "add one with `.layer(…)` before the services are put behind the layers",
    note = "of two layers that provide the same type the compiler cannot choose"
)]
pub trait Has<V, I> {}

/// A list whose layer that provides `V` can be exchanged.
#[diagnostic::on_unimplemented(message = "no layer of these provides `{V}`, so there is nothing to replace")]
pub trait Replace<V, N, I> {
    /// The list with the other layer.
    type Replaced;
    /// The list with the other layer inside of the one that provides it.
    type Decorated;

    /// Exchanges the layer.
    fn replace(self, layer: N) -> Self::Replaced;

    /// Puts a layer directly inside of it.
    fn decorate(self, layer: N) -> Self::Decorated;
}

impl Layers<Nothing> {
    /// No layers yet.
    pub fn new() -> Self {
        Self(Nothing)
    }
}

impl Default for Layers<Nothing> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L> Layers<L> {
    /// Adds a layer inside the ones before it.
    pub fn layer<N: Provide>(self, layer: N) -> Layers<Inside<N, L>> {
        Layers(Inside { layer, outside: self.0 })
    }

    /// Adds any `tower::Layer` inside the ones before it, under a name.
    pub fn around<N>(self, name: &'static str, layer: N) -> Layers<Inside<Named<N>, L>> {
        self.layer(Named { name, layer })
    }

    /// Exchanges the layer that provides the same value: who reads it does not notice.
    pub fn replace<N: Provide, I>(self, layer: N) -> Layers<L::Replaced>
    where
        L: Replace<N::Value, N, I>,
    {
        Layers(self.0.replace(layer))
    }

    /// Puts a layer directly inside of the one that provides `V`, where it sees the value and may supply another.
    pub fn decorate<V, N: Provide, I>(self, layer: N) -> Layers<L::Decorated>
    where
        L: Replace<V, N, I>,
    {
        Layers(self.0.decorate(layer))
    }

    /// The key to a value that one of these layers provides.
    pub(crate) fn key<V, I>(&self) -> Key<V>
    where
        L: Has<V, I>,
    {
        Key(PhantomData)
    }

    /// The names of the layers, outermost first, each with the type that it provides.
    pub fn describe(&self) -> Vec<(&'static str, &'static str)>
    where
        L: Described,
    {
        let mut described = Vec::new();
        self.0.describe(&mut described);
        described
    }
}

impl<L: Layer<S>, S> Layer<S> for Layers<L> {
    type Service = L::Service;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}

impl<S> Layer<S> for Nothing {
    type Service = S;

    fn layer(&self, inner: S) -> S {
        inner
    }
}

impl<N: Layer<S>, L: Layer<N::Service>, S> Layer<S> for Inside<N, L> {
    type Service = L::Service;

    fn layer(&self, inner: S) -> Self::Service {
        self.outside.layer(self.layer.layer(inner))
    }
}

impl<L: Described> Described for Layers<L> {
    fn describe(&self, into: &mut Vec<(&'static str, &'static str)>) {
        self.0.describe(into);
    }
}

impl Described for Nothing {
    fn describe(&self, _: &mut Vec<(&'static str, &'static str)>) {}
}

impl<N: Provide, L: Described> Described for Inside<N, L> {
    fn describe(&self, into: &mut Vec<(&'static str, &'static str)>) {
        self.outside.describe(into);
        let provides = std::any::type_name::<N::Value>();
        into.push((self.layer.name(), if provides == "()" { "" } else { provides }));
    }
}

impl<V, N: Provide<Value = V>, L> Has<V, Here> for Inside<N, L> {}
impl<V, N, L: Has<V, I>, I> Has<V, There<I>> for Inside<N, L> {}

impl<V, M, N: Provide<Value = V>, L> Replace<V, M, Here> for Inside<N, L> {
    type Replaced = Inside<M, L>;
    type Decorated = Inside<M, Self>;

    fn replace(self, layer: M) -> Self::Replaced {
        Inside { layer, outside: self.outside }
    }

    fn decorate(self, layer: M) -> Self::Decorated {
        Inside { layer, outside: self }
    }
}

impl<V, M, N, L: Replace<V, M, I>, I> Replace<V, M, There<I>> for Inside<N, L> {
    type Replaced = Inside<N, L::Replaced>;
    type Decorated = Inside<N, L::Decorated>;

    fn replace(self, layer: M) -> Self::Replaced {
        Inside { layer: self.layer, outside: self.outside.replace(layer) }
    }

    fn decorate(self, layer: M) -> Self::Decorated {
        Inside { layer: self.layer, outside: self.outside.decorate(layer) }
    }
}

/// Any `tower::Layer` under a name. It provides nothing.
#[derive(Debug, Clone)]
pub struct Named<N> {
    name: &'static str,
    layer: N,
}

impl<N> Provide for Named<N> {
    type Value = ();

    fn name(&self) -> &'static str {
        self.name
    }
}

impl<N: Layer<S>, S> Layer<S> for Named<N> {
    type Service = N::Service;

    fn layer(&self, inner: S) -> Self::Service {
        self.layer.layer(inner)
    }
}

/// Reads a value that a layer supplies to each request.
///
/// A service asks for it in its constructor. It is made of a stack with a layer that
/// provides the value, so that a service whose value nobody provides does not compile:
///
/// ```compile_fail,E0277
/// struct Tenant;
/// let services = mesh::Services::behind(mesh::layers::Layers::new());
/// let tenant: mesh::layers::Key<Tenant> = services.key(); // no layer provides `Tenant`
/// ```
pub struct Key<V>(PhantomData<fn() -> V>);

impl<V> Clone for Key<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Key<V> {}

impl<V> std::fmt::Debug for Key<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the key to {}", std::any::type_name::<V>())
    }
}

impl<V: 'static> Key<V> {
    /// The value that belongs to a request.
    ///
    /// # Panics
    ///
    /// When the service stands behind other layers than those that the key was made of.
    pub fn of<'a, T>(&self, request: &'a Request<T>) -> &'a V {
        let supplied = request.extensions().get::<Call>().and_then(Call::get::<V>);
        supplied.unwrap_or_else(|| panic!("no layer in front of this service provided {}", std::any::type_name::<V>()))
    }
}
