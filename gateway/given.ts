/**
 * What is known of an object, kept on the object itself as a private member of a subclass. The values of a weak map outlive the next
 * collection of garbage even if their keys do not: of objects of which each call makes some, all since the last one would be copied.
 */

/** What a subclass declares stands in the object that is given; an object takes one of each subclass. */
export class Given {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: a private member of an object that is there is written by no other way
    return object;
  }
}
