// Small values; see Objects.cs about the names behind the members.
using System;

namespace UnityEngine
{
    public struct Vector2 // Vector2
    {
        public float x; // Vector2-x
        public float y; // Vector2-y

        public Vector2(float x, float y) // Vector2-ctor
        {
            this.x = x;
            this.y = y;
        }
    }

    public struct Vector3 // Vector3
    {
        public float x; // Vector3-x
        public float y; // Vector3-y
        public float z; // Vector3-z

        public Vector3(float x, float y, float z) // Vector3-ctor
        {
            this.x = x;
            this.y = y;
            this.z = z;
        }

        public static Vector3 zero // Vector3-zero
        {
            get { return new Vector3(0, 0, 0); }
        }

        public static Vector3 up // Vector3-up
        {
            get { return new Vector3(0, 1, 0); }
        }

        public static Vector3 forward // Vector3-forward
        {
            get { return new Vector3(0, 0, 1); }
        }
    }

    public struct Vector4 // Vector4
    {
        public float x; // Vector4-x
        public float y; // Vector4-y
        public float z; // Vector4-z
        public float w; // Vector4-w

        public Vector4(float x, float y, float z, float w) // Vector4-ctor
        {
            this.x = x;
            this.y = y;
            this.z = z;
            this.w = w;
        }
    }

    public struct Rect // Rect
    {
        public Rect(float x, float y, float width, float height) // Rect-ctor
        {
            this.x = x;
            this.y = y;
            this.width = width;
            this.height = height;
        }

        public float x { get; set; } // Rect-x

        public float y { get; set; } // Rect-y

        public float width { get; set; } // Rect-width

        public float height { get; set; } // Rect-height
    }

    public struct Quaternion // Quaternion
    {
        public float x; // Quaternion-x
        public float y; // Quaternion-y
        public float z; // Quaternion-z
        public float w; // Quaternion-w

        public static Quaternion identity // Quaternion-identity
        {
            get { return new Quaternion { w = 1 }; }
        }

        /// <summary>About z, then x, then y, in a left-handed system.</summary>
        public static Quaternion Euler(float x, float y, float z) // Quaternion.Euler
        {
            return About(y, 0, 1, 0) * About(x, 1, 0, 0) * About(z, 0, 0, 1);
        }

        public static Quaternion operator *(Quaternion lhs, Quaternion rhs) // Quaternion-operator_multiply
        {
            return new Quaternion
            {
                x = lhs.w * rhs.x + lhs.x * rhs.w + lhs.y * rhs.z - lhs.z * rhs.y,
                y = lhs.w * rhs.y + lhs.y * rhs.w + lhs.z * rhs.x - lhs.x * rhs.z,
                z = lhs.w * rhs.z + lhs.z * rhs.w + lhs.x * rhs.y - lhs.y * rhs.x,
                w = lhs.w * rhs.w - lhs.x * rhs.x - lhs.y * rhs.y - lhs.z * rhs.z,
            };
        }

        public static Vector3 operator *(Quaternion rotation, Vector3 point) // Quaternion-operator_multiply
        {
            var turned = rotation * new Quaternion { x = point.x, y = point.y, z = point.z }
                * new Quaternion { x = -rotation.x, y = -rotation.y, z = -rotation.z, w = rotation.w };
            return new Vector3(turned.x, turned.y, turned.z);
        }

        private static Quaternion About(float degrees, float x, float y, float z)
        {
            var half = degrees * Math.PI / 360;
            var sin = (float)Math.Sin(half);
            return new Quaternion { x = x * sin, y = y * sin, z = z * sin, w = (float)Math.Cos(half) };
        }
    }

    public static class Mathf // Mathf
    {
        public static float Abs(float f) // Mathf.Abs
        {
            return Math.Abs(f);
        }

        public static float Clamp01(float value) // Mathf.Clamp01
        {
            return Math.Min(1, Math.Max(0, value));
        }
    }
}

namespace Unity.Collections
{
    /// <summary>A view of a texture's bytes; memory of Unity's, so here the array that stands for it.</summary>
    public struct NativeArray<T> where T : struct // Unity.Collections.NativeArray_1
    {
        internal T[] Memory;

        public static void Copy(T[] src, int srcIndex, NativeArray<T> dst, int dstIndex, int length) // Unity.Collections.NativeArray_1.Copy
        {
            Array.Copy(src, srcIndex, dst.Memory, dstIndex, length);
        }
    }
}
