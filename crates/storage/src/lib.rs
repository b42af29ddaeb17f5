//! Storage interface: row types, filters and the traits that every backend implements.
